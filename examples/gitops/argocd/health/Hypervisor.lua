-- A Hypervisor: whether its libvirt answers, and whether anything on it waits for an administrator.
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

local ready = condition("Ready")
if ready.status == nil then
  return health("Progressing", {message = "its agent has not registered yet"})
end
if ready.status ~= "True" then
  return health("Degraded", ready)
end
for _, name in ipairs({"Overcommitted", "DiskPressure", "Orphans", "ClockSkewed"}) do
  if condition(name).status == "True" then return health("Degraded", condition(name)) end
end
if obj.spec ~= nil and obj.spec.maintenance then
  return health("Suspended", {message = "in maintenance"})
end
if obj.spec ~= nil and obj.spec.disabled ~= nil then
  return health("Suspended", {message = obj.spec.disabled.reason})
end
return health("Healthy", ready)
