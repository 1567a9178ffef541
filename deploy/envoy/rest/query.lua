-- Checks the parameters of a path against the request message, and writes short names of enum values in full.
local faults = require("faults")
local scan = require("scan")

local function decoded(text)
  text = text:gsub("+", " ")
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

local function encoded(text)
  return (text:gsub("[^%w_.,%-]", function(sign)
    return ("%%%02X"):format(sign:byte())
  end))
end

-- The field that "timing.crontab.expression" names and its path in the contract's names; nil if there is none, which
-- is added to the faults. A parameter has one value of a list, and may have its name in the singular: state for states.
local function field_of(name, message, found)
  local path, field = "", nil
  for step in (name .. "."):gmatch("([^.]*)%.") do
    if field and not field.message then
      faults.add(found, faults.shown(name), "goes on after " .. path .. ", which has no fields", field.parameter)
      return nil
    end
    message = field and field.message or message
    field = message.names[step] or message.singular[step]
    if not field then
      faults.unknown(found, path, step, message, "query")
      return nil
    end
    path = path == "" and field.name or path .. "." .. field.name
  end
  if field.map or field.message or field.open or field.any or field.list then
    faults.add(found, path, "can't be a parameter: it is no single value", field.inner or "a field of the body")
    return nil
  end
  return field, path
end

-- The paths of a mask with the contract's names for what a body may have under others (args for args_json). What no
-- field has is left to the service, which knows what a mask may name.
local function mask_in_full(mask, message)
  return (mask:gsub("[^,]+", function(path)
    local steps, within = {}, message
    for step in path:gmatch("[^.]+") do
      local field = within and within.names[step]
      steps[#steps + 1] = field and field.json == step and field.name or step
      within = field and field.message
    end
    return table.concat(steps, ".")
  end))
end

local function place_of(path, route, bound)
  if bound and bound[path] then
    return "is in the path already", "leave the parameter out"
  elseif route.body ~= "" and route.body ~= "*" and (path .. "."):sub(1, #route.body + 1) == route.body .. "." then
    return "belongs into the body, which is the " .. route.body, route.body_message.example
  end
  return nil
end

-- Checks one parameter; returns its value in full if it must be changed, and its field's path.
local function checked(name, value, route, bound, seen, found)
  local field, path = field_of(name, route.message, found)
  if not field then
    return nil
  end
  local fault, example = place_of(path, route, bound)
  if fault then
    faults.add(found, path, fault, example)
  elseif seen[path] and not field.repeated then
    faults.add(found, path, "appears twice", field.parameter)
  end
  seen[path] = true
  if field.oneof then
    local prefix = path:sub(1, #path - #field.name)
    local group = prefix .. field.oneof.names
    if seen[group] and seen[group] ~= path then
      faults.add(found, path, "is there beside " .. seen[group] .. ": only one of " .. field.oneof.names .. " may be", field.parameter)
    end
    seen[group] = path
  end
  if field.kind == "mask" and route.body_message then
    local full = mask_in_full(value, route.body_message)
    return full ~= value and full or nil, path
  elseif field.enum and not value:find("^%-?%d+$") then
    local full = field.enum.values[value]
    if not full then
      faults.value(found, path, value, field, "query")
    end
    return full ~= value and full or nil, path
  elseif field.form and not field.form(value) then
    faults.form(found, path, value, scan.quoted(faults.shown(value)), field, field.parameter)
  end
  return nil, path
end

-- Checks the part of a path that follows the "?". Returns the query to pass on, nil if it is as it was, and which fields
-- of the request it names.
return function(query, route, bound, found)
  local seen, parts, changed = {}, {}, false
  for part in query:gmatch("[^&]+") do
    local name, value = part:match("^([^=]*)=?(.*)$")
    local full, path = checked(decoded(name), decoded(value), route, bound, seen, found)
    local singular = path and decoded(name) == path:sub(1, -2)
    if full or singular then
      changed = true
      part = (singular and path or name) .. "=" .. (full and encoded(full) or value)
    end
    parts[#parts + 1] = part
  end
  return changed and table.concat(parts, "&") or nil, seen
end
