-- An AvailabilityZone: without any host it is still being made; with none that is usable it has failed.
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

local available, headroom = condition("Available"), condition("FailoverHeadroom")
if available.status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", {message = "the operator has not looked at it yet"})
end
if available.status ~= "True" then
  return health(available.reason == "NoHost" and "Progressing" or "Degraded", available)
end
if headroom.status == "False" then
  return health("Degraded", headroom)
end
return health("Healthy", available)
