-- Copy all records aside, as they are at this moment, to be read in parts. ARGV: schema, name of the copy, seconds
-- that it is kept. Returns the number of the last event.

local unfit = check_types() or check_schema(ARGV[1])
if unfit then return unfit end
for _, part in ipairs({'task', 'agent', 'workflow', 'tasks', 'agents', 'workflows'}) do
  local copy = S .. 'copy:' .. ARGV[2] .. ':' .. part
  if call('COPY', S .. part, copy) == 1 then
    call('EXPIRE', copy, ARGV[3])
  end
end
return call('HGET', META, 'seq') or '0'
