-- An InstanceGroup: the soft policies are a wish.
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

local satisfied = condition("Satisfied")
if satisfied.status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", {message = "the operator has not looked at it yet"})
end
local wish = obj.spec.policy == "SoftAffinity" or obj.spec.policy == "SoftAntiAffinity"
return health((satisfied.status == "True" or wish) and "Healthy" or "Degraded", satisfied)
