-- Which of KEYS, after the first, hold something of another program's. Returns their names, each with the type that it
-- should have. Writes nothing.

local FAMILIES = {
  [S .. 'ready:'] = 'zset', [S .. 'lane:'] = 'zset', [S .. 'tasks:held:'] = 'zset', [S .. 'tasks:assigned:'] = 'zset',
  [S .. 'tasks:workflow:'] = 'zset', [S .. 'waits:'] = 'set', [S .. 'waiters:'] = 'hash', [S .. 'log:'] = 'stream',
  [P .. 'agents:status:'] = 'hash', [P .. 'workflows:'] = 'hash',
}

local function type_for(key)
  local wanted = TYPES[key] or RARE.trigger[key] or RARE.keeper[key]
  if wanted then return wanted end
  for family, wanted in pairs(FAMILIES) do
    if string.sub(key, 1, #family) == family then return wanted end
  end
end

local found = {}
for i = 2, #KEYS do
  local key = KEYS[i]
  local wanted = type_for(key)
  if wanted and not is_of_type(key, wanted) then
    found[#found + 1] = {key, wanted}
  end
end
return found
