-- A HostAggregate: a conflict is somebody's to settle, and so is a reserve that does not hold; hosts and its zone may
-- still come.
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

local ready, conflict, headroom = condition("Ready"), condition("Conflict"), condition("FailoverHeadroom")
if ready.status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", {message = "the operator has not looked at it yet"})
end
if conflict.status == "True" then
  return health("Degraded", conflict)
end
if ready.status ~= "True" then
  return health("Progressing", ready)
end
if headroom.status == "False" then
  return health("Degraded", headroom)
end
return health("Healthy", ready)
