-- Find the store, or make it, or bring it up to date. ARGV: the schema to have, the id of a new store, then the older
-- schemas whose stores are good as they are. Returns schema, store id, time.

local unfit = check_types()
if unfit then return unfit end
if call('HSETNX', META, 'schema', ARGV[1]) == 1 then
  call('HSET', META, 'store_id', ARGV[2])
end
for i = 3, #ARGV do
  if call('HGET', META, 'schema') == ARGV[i] then call('HSET', META, 'schema', ARGV[1]) end
end
local now = call('TIME')
return {call('HGET', META, 'schema'), call('HGET', META, 'store_id'), now[1], now[2]}
