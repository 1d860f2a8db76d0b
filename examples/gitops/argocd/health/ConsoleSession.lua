-- A ConsoleSession is no part of any directory: Argo CD shows it below its Instance, which owns it.
local status = obj.status or {}
if status.startedAt ~= nil then
  return {status = "Healthy", message = obj.spec.user.username .. " looks on since " .. status.startedAt}
end
return {status = "Progressing", message = "the ticket has not been used yet"}
