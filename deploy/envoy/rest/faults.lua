-- The faults that were found in one request, and what is told of them.
local near = require("near")
local scan = require("scan")

local MOST = 20
-- Of what a caller wrote.
local MOST_QUOTED = 64

local faults = {enough = {}}

-- Of a fault: the path of the field, what is wrong, and a valid example. The last that is told ends the reading by
-- raising `faults.enough`: a body may have a million of them.
function faults.add(found, field, fault, example)
  found[#found + 1] = {field = field, fault = fault, example = example}
  if #found == MOST then
    error(faults.enough, 0)
  end
end

-- What the caller wrote, short enough to be repeated to him.
function faults.shown(text)
  local readable = scan.readable(text)
  if #readable <= MOST_QUOTED then
    return readable
  end
  return (scan.readable(readable:sub(1, MOST_QUOTED)):gsub("\239\191\189$", "")) .. "…"
end

local function listed(names)
  local few = {}
  for i = 1, math.min(#names, 20) do
    few[i] = names[i]
  end
  return table.concat(few, ", ") .. (#names > 20 and ", …" or "")
end

-- A name that a message does not have. `outer`: the body is the message in this field of the request.
function faults.unknown(found, path, name, message, form, outer)
  local shown = name == "" and '""' or faults.shown(name)
  local where = path == "" and shown or path .. "." .. shown
  for _, field in ipairs(message.order) do
    local inner = field.message
    if inner and not field.repeated and not field.map and inner.names[name] then
      local example = form == "query" and field.name .. "." .. name .. "=…"
        or '{"' .. field.name .. '": {"' .. name .. '": …}}'
      faults.add(found, where, "is not a field of " .. message.label .. " but of its field " .. field.name, example)
      return
    end
  end
  if outer and name == outer then
    faults.add(found, where, "must be left out: the body of this path is the " .. outer .. " itself", message.example)
    return
  end
  local nearest = near.nearest(name, message.all)
  if nearest then
    local field = message.names[nearest]
    local fault = "is not a field of " .. message.label .. "; did you mean " .. nearest .. "?"
    faults.add(found, where, fault, form == "query" and field.parameter or field.example)
  elseif #message.order == 0 then
    faults.add(found, where, "is not a field of " .. message.label .. ", which has none", form == "query" and "no parameters" or "{}")
  else
    local fault = "is not a field of " .. message.label .. ", which has " .. listed(message.all)
    local first = message.order[1]
    faults.add(found, where, fault, form == "query" and first.parameter or first.example)
  end
end

-- A value that has not the form of its field. `shown`: the value as it is told.
function faults.form(found, path, value, shown, field, example)
  local _, why = field.form(value)
  faults.add(found, path, "is " .. shown .. (why or ", not " .. field.wanted), example)
end

-- A value that an enum does not have.
function faults.value(found, path, value, field, form)
  local enum = field.enum
  local nearest = near.nearest(value, enum.all)
  local hint = nearest and "; did you mean " .. nearest .. "?" or ": " .. listed(enum.all)
  local example = form == "query" and field.parameter or field.example
  faults.add(found, path, "is " .. scan.quoted(faults.shown(value)) .. ", not one of the values of " .. enum.label .. hint, example)
end

return faults
