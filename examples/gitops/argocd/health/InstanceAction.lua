-- An InstanceAction, by its condition Complete, which is False until it has worked and for ever if it has not.
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

local complete, image = condition("Complete"), condition("ImageCreated")
if complete.status == nil then
  return health("Progressing", {message = "nobody has looked at it yet: is the operator running?"})
end
if status.phase == "Failed" then
  return health("Degraded", complete)
end
if complete.status ~= "True" then
  return health("Progressing", complete)
end
if image.status == "False" then
  return health("Degraded", image)
end
if obj.spec.type == "Snapshot" and image.status == nil then
  return health("Progressing", {message = "its Image is being made"})
end
return health("Healthy", complete)
