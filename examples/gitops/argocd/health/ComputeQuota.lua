-- A ComputeQuota: more used than allowed, as after a cut, is somebody's to settle: nothing is taken away.
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

local exceeded = condition("Exceeded")
if exceeded.status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", {message = "the operator has not looked at it yet"})
end
return health(exceeded.status == "True" and "Degraded" or "Healthy", exceeded)
