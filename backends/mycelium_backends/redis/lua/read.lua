-- Answer questions. ARGV: schema, then for each question one JSON array: its name and its arguments.

local unfit = check_schema(ARGV[1])
if unfit then return unfit end

local SAMPLE = 8 -- dependencies that are told of a blocked task unless more are asked for
local FEW = 100 -- waiters that are told of together with their task
local MUCH = 2 * 1024 * 1024 -- bytes after which a listing goes on in another answer
local MANY = 1000 -- waiters upon waiters after which no more are looked for

local function waits_of(id, wanted)
  local key = S .. 'waits:' .. id
  local all = call('SCARD', key)
  if all <= wanted then
    return {all, call('SMEMBERS', key)}
  end
  return {all, call('SRANDMEMBER', key, wanted)}
end

-- Who waits on a task, and what else each of them waits on; with its record where that is nothing.
local function waiters_of(id)
  local fields = call('HGETALL', S .. 'waiters:' .. id)
  local added, found = 0, {}
  for i = 1, #fields, 2 do
    if fields[i] == '' then
      added = tonumber(fields[i + 1])
    else
      local waits = waits_of(fields[i], SAMPLE)
      found[#found + 1] = {fields[i], fields[i + 1], waits, waits[1] <= 1 and call('HGET', S .. 'task', fields[i])}
    end
  end
  return {id, added, found}
end

local function counts_of(workflow)
  return call('HGETALL', S .. 'workflow:' .. workflow .. ':counts')
end

local questions = {}

function questions.get(kind, keys)
  return read_all(kind, keys)
end

-- A task with all that a rule may want to know when it ends: who waits on it, and how its workflow stands.
function questions.task(id)
  local body = call('HGET', S .. 'task', id)
  if not body then return false end
  local workflow = index_of('task', id)[WORKFLOW]
  local few = call('HLEN', S .. 'waiters:' .. id) <= FEW
  return {body, few and waiters_of(id), workflow ~= '' and {workflow, counts_of(workflow)} or false}
end

function questions.keys(keys)
  local found = {}
  for i, key in ipairs(keys) do
    local id = call('HGET', S .. 'keys', key)
    found[i] = id and call('HGET', S .. 'task', id)
  end
  return found
end

function questions.waits(ids, wanted)
  local found = {}
  for i, id in ipairs(ids) do
    found[i] = waits_of(id, wanted)
  end
  return found
end

-- Who waits on these tasks; if wanted also who on those, and so on: when one can no longer run, the others may follow.
function questions.waiters(ids, follow)
  local found, queue, known, asked = {}, ids, {}, #ids
  for _, id in ipairs(ids) do
    known[id] = true
  end
  while #found < #queue and (#found < asked or follow and #queue < MANY) do
    local next = waiters_of(queue[#found + 1])
    found[#found + 1] = next
    for _, waiter in ipairs(next[3]) do
      if not known[waiter[1]] then
        known[waiter[1]] = true
        queue[#queue + 1] = waiter[1]
      end
    end
  end
  return found
end

function questions.counts(workflow)
  return counts_of(workflow)
end

-- A part of a listing, from its newest record: their numbers, the records, and whether there is more.
function questions.page(kind, index, below, limit)
  local rows = call('ZREVRANGEBYSCORE', S .. index, '(' .. below, '-inf', 'WITHSCORES', 'LIMIT', 0, limit)
  local numbers, bodies, size = {}, {}, 0
  for i = 1, #rows, 2 do
    if size > MUCH then return {numbers, bodies, true} end
    numbers[#numbers + 1] = rows[i + 1]
    bodies[#bodies + 1] = call('HGET', S .. kind, rows[i])
    size = size + #bodies[#bodies]
  end
  return {numbers, bodies, #rows == 2 * limit}
end

function questions.has(index, number)
  return call('ZCOUNT', S .. index, number, number)
end

function questions.agents(after, limit)
  local first = after == '' and '-' or '(' .. after
  return read_all('agent', call('ZRANGEBYLEX', S .. 'agents', first, '+', 'LIMIT', 0, limit))
end

function questions.wake(now)
  wake(now)
  return true
end

local function newest_of(key, after, limit)
  return call('XREVRANGE', key, '+', '(' .. after, 'COUNT', limit)
end

local function oldest_of(key, after, limit)
  return call('XRANGE', key, '(' .. after, '+', 'COUNT', limit)
end

local function number_of(entry)
  return tonumber(string.match(entry[1], '^%d+'))
end

local function numbers_on(channels, after, limit, range)
  local numbers = {}
  for _, channel in ipairs(channels) do
    for _, entry in ipairs(range(S .. 'log:' .. channel, after, limit)) do
      numbers[#numbers + 1] = number_of(entry)
    end
  end
  table.sort(numbers)
  return numbers
end

function questions.events(channels, after, limit, newest)
  local range, found = newest and newest_of or oldest_of, {}
  if #channels == 0 then
    local entries = range(P .. 'events', after, limit)
    for i = 1, #entries do
      found[i] = entries[newest and #entries + 1 - i or i][2][2]
    end
    return found
  end
  local numbers = numbers_on(channels, after, limit, range)
  local first = newest and math.max(1, #numbers - limit + 1) or 1
  for i = first, math.min(#numbers, first + limit - 1) do
    local at = number(numbers[i]) .. '-0'
    found[#found + 1] = call('XRANGE', P .. 'events', at, at)[1][2][2]
  end
  return found
end

function questions.last_seq()
  return call('HGET', META, 'seq') or '0'
end

function questions.due(now, limit)
  local found = {}
  for i, member in ipairs(call('ZRANGEBYSCORE', S .. 'due', '-inf', now, 'LIMIT', 0, limit)) do
    local kind, key = string.match(member, '^(%a+):(.*)$')
    found[i] = {kind, call('HGET', S .. kind, key)}
  end
  local later = call('ZRANGEBYSCORE', S .. 'due', '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return {found, later[2] or false}
end

local function by_status(kind, statuses)
  local flat = {}
  for _, status in ipairs(statuses) do
    flat[#flat + 1] = status
    flat[#flat + 1] = number(call('ZCARD', S .. kind .. ':status:' .. status))
  end
  return flat
end

function questions.stats(now)
  wake(now)
  local queues = {}
  for rank = 0, 3 do
    queues[rank + 1] = call('LLEN', P .. 'tasks:queue:' .. PRIORITIES[rank])
  end
  return {
    by_status('tasks', TASK_STATUSES), call('HGETALL', S .. 'agents:counts'),
    by_status('workflows', WORKFLOW_STATUSES), by_status('triggers', TRIGGER_STATUSES), queues,
    call('HGET', META, 'seq') or '0',
  }
end

local answers = {}
for i = 2, #ARGV do
  local question = cjson.decode(ARGV[i])
  local whole, said = pcall(questions[question[1]], question[2], question[3], question[4], question[5])
  if not whole then -- an error is that question's answer, and names the key where it can
    said = check_types() or check_rare() or redis.error_reply(type(said) == 'table' and said.err or tostring(said))
  end
  answers[i - 1] = said
end
return answers
