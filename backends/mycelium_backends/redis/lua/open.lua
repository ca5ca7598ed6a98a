-- Find the store, or make it. ARGV: the schema to make, the id of a new store. Returns schema, store id, time.

local unfit = check_types()
if unfit then return unfit end
if call('HSETNX', META, 'schema', ARGV[1]) == 1 then
  call('HSET', META, 'store_id', ARGV[2])
end
local now = call('TIME')
return {call('HGET', META, 'schema'), call('HGET', META, 'store_id'), now[1], now[2]}
