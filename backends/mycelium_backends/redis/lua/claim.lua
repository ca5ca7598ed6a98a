-- Reserve tasks for those who want to claim them. ARGV: schema, the time now, when reservations end, then for each
-- request one JSON array: ["next", agent, [types]] or ["return", task, version]. Answers each "next" with the task's
-- record or false.
--
-- A reserved task is in no queue and in `reserved`, in one step, so it cannot be lost: whoever comes by when the
-- reservation has ended makes it ready again. The commit that makes it running also ends the reservation.

local unfit = check_types() or check_schema(ARGV[1])
if unfit then return unfit end
local now, ends = ARGV[2], ARGV[3]

local function heads(agent, types)
  local keys = {}
  for _, owner in ipairs({agent, ''}) do
    if #types == 0 then
      keys[#keys + 1] = S .. 'ready:' .. owner
    end
    for _, type in ipairs(types) do
      keys[#keys + 1] = S .. 'ready:' .. owner .. ':' .. type
    end
  end
  return keys
end

local function next_ready(agent, types)
  local best, best_at
  for _, key in ipairs(heads(agent, types)) do
    local head = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    local at = tonumber(head[2])
    if at and (not best_at or at < best_at) then
      best, best_at = head[1], at
    end
  end
  return best
end

local function reserve(agent, types)
  local id = next_ready(agent, types)
  if not id then return false end
  local entry = index_of('task', id)
  if not entry or entry[CLAIMABLE] ~= READY then
    return redis.error_reply('WRONGTYPE ' .. S .. 'ready: holds ' .. id .. ', which is not ready')
  end
  move(id, entry, RESERVED)
  call('ZADD', S .. 'reserved', ends, id)
  return call('HGET', S .. 'task', id)
end

local function give_back(id, version)
  local entry = index_of('task', id)
  if entry and entry[CLAIMABLE] == RESERVED and entry[VERSION] == version then
    move(id, entry, READY)
  end
  return true
end

wake(now)
local answers = {}
for i = 4, #ARGV do
  local request = cjson.decode(ARGV[i])
  local verb = request[1] == 'next' and reserve or give_back
  answers[i - 3] = verb(request[2], request[3])
end
return answers
