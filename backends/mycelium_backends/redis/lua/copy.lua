-- Copy all records aside, as they are at this moment, to be read in parts. ARGV: schema, name of the copy, seconds
-- that it is kept. Returns the number of the last event; again, where the answer of the first time was lost.

local unfit = check_types() or check_schema(ARGV[1])
if unfit then return unfit end
local COPY = S .. 'copy:' .. ARGV[2] .. ':'

local made = call('GET', COPY .. 'seq')
if made then return made end
for _, part in ipairs({'task', 'agent', 'workflow', 'trigger', 'tasks', 'agents', 'workflows', 'triggers'}) do
  if call('COPY', S .. part, COPY .. part) == 1 then
    call('EXPIRE', COPY .. part, ARGV[3])
  end
end
local seq = call('HGET', META, 'seq') or '0'
call('SET', COPY .. 'seq', seq, 'EX', ARGV[3])
return seq
