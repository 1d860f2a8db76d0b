-- An Instance, by its condition Ready. What it waits for is Progressing, as it comes right by itself; what a person has
-- to look at is Degraded; a guest that is off or halted because the spec says so is Suspended.
local status = obj.status or {}

local function condition(name)
  for _, each in ipairs(status.conditions or {}) do
    if each.type == name then return each end
  end
  return {}
end

local function health(verdict, said)
  local message = said.message
  if message == nil or message == "" then message = said.reason end
  return {status = verdict, message = message}
end

local ready, resized, restart = condition("Ready"), condition("Resized"), condition("RestartRequired")
if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", {message = "is being deleted: " .. (ready.reason or "never had a node")})
end
if ready.status == nil then
  return health("Progressing", {message = "nobody has looked at it yet: is the operator running?"})
end
if ready.status == "Unknown" then
  return health(ready.reason == "Adopted" and "Progressing" or "Degraded", ready)
end
if status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", {message = "the last change of its spec has not been looked at yet"})
end
local scheduled = condition("Scheduled")
if scheduled.status == "False" then
  return health("Progressing", scheduled)
end
if ready.status == "True" then
  if resized.status == "False" then
    return health("Progressing", resized)
  end
  local halted = {Stopped = true, Paused = true, Suspended = true, Rescued = true}
  if halted[status.phase] then
    return health("Suspended", {message = ready.message, reason = status.phase})
  end
  return health("Healthy", restart.status == "True" and restart or {message = ready.message, reason = status.phase})
end
if ready.reason == "Completed" then
  return health("Suspended", ready)
end
local passing = {Building = true, Saving = true, Stopping = true, Rebooting = true, GuestStopped = true}
return health(passing[ready.reason] and "Progressing" or "Degraded", ready)
