-- Checks the JSON of a body against the message that it is: names, shapes, and what may be there once only.
--
-- What a caller may write beside the forms of proto JSON is collected in `edits`, to be written as proto JSON has it:
-- a JSON value for a field that holds JSON as a text (args for args_json), and short names of enum values.
local faults = require("faults")
local scan = require("scan")

local byte, sub = string.byte, string.sub
local DEEPEST = 100
local generic

-- The path of the field whose names are in the trail, from the first: "schedule.labels.a", "messages[2].text".
local function path_of(ctx, depth)
  local path = ctx.root or ""
  for i = 1, depth do
    local step = ctx.trail[i]
    if type(step) == "number" then
      path = path .. "[" .. step .. "]"
    else
      path = (path == "" and "" or path .. ".") .. faults.shown(step)
    end
  end
  return path
end

local function add(ctx, depth, fault, example)
  faults.add(ctx.faults, path_of(ctx, depth), fault, example)
end

local function edit(ctx, first, last, text)
  ctx.edits[#ctx.edits + 1] = {first = first, last = last, text = text}
end

local function deeper(at, depth)
  if depth > DEEPEST then
    scan.fault(at, "The body is nested more than " .. DEEPEST .. " levels deep")
  end
end

-- Reads an object; `member` reads each value: member(ctx, at, depth, key, key's first, key's last, seen, of).
local function object(ctx, at, depth, member, of)
  deeper(at, depth)
  local text, seen = ctx.text, {}
  at = scan.blank(text, at + 1)
  if byte(text, at) == 125 then
    return at + 1
  end
  while true do
    if byte(text, at) ~= 34 then
      scan.expected(text, at, "a name in double quotes")
    end
    local first = at
    local last, escaped = scan.text(text, at)
    local key = scan.characters(text, first, last, escaped)
    at = scan.blank(text, last + 1)
    if byte(text, at) ~= 58 then
      scan.expected(text, at, "':'")
    end
    ctx.trail[depth] = key
    at = member(ctx, scan.blank(text, at + 1), depth, key, first, last, seen, of)
    at = scan.blank(text, at)
    local c = byte(text, at)
    if c == 125 then
      return at + 1
    elseif c ~= 44 then
      scan.expected(text, at, "',' or '}'")
    end
    at = scan.blank(text, at + 1)
  end
end

-- Reads a list; `element` reads each value: element(ctx, at, depth, of).
local function list(ctx, at, depth, element, of)
  deeper(at, depth)
  local text, index = ctx.text, 0
  at = scan.blank(text, at + 1)
  if byte(text, at) == 93 then
    return at + 1
  end
  while true do
    ctx.trail[depth] = index
    at = scan.blank(text, element(ctx, at, depth, of))
    local c = byte(text, at)
    if c == 93 then
      return at + 1
    elseif c ~= 44 then
      scan.expected(text, at, "',' or ']'")
    end
    at = scan.blank(text, at + 1)
    index = index + 1
  end
end

local function generic_member(ctx, at, depth, key, _, _, seen)
  if seen[key] then
    add(ctx, depth, "appears twice", "each name once")
  end
  seen[key] = true
  return generic(ctx, at, depth)
end

-- Reads any JSON value.
function generic(ctx, at, depth)
  local text = ctx.text
  local c = byte(text, at)
  if c == 123 then
    return object(ctx, at, depth + 1, generic_member)
  elseif c == 91 then
    return list(ctx, at, depth + 1, generic)
  elseif c == 34 then
    return scan.text(text, at) + 1
  elseif c == 45 or (c and c >= 48 and c <= 57) then
    return scan.number(text, at)
  end
  return scan.word(text, at)
end

local KIND = {[123] = "an object", [91] = "a list", [34] = "a text", [116] = "true", [102] = "false", [110] = "null"}

local function kind_at(ctx, at)
  return KIND[byte(ctx.text, at)] or "a number"
end

local function wrong(ctx, at, depth, wanted, example)
  local after = generic(ctx, at, depth)
  add(ctx, depth, "is " .. kind_at(ctx, at) .. ", not " .. wanted, example)
  return after
end

-- A value that is bound by the path too must be the same.
local function compare_with_path(ctx, depth, value)
  local path = path_of(ctx, depth)
  local bound = ctx.bound[path]
  if bound and bound ~= value then
    local fault = "is " .. scan.quoted(faults.shown(value)) .. " in the body and " .. scan.quoted(bound) .. " in the path"
    faults.add(ctx.faults, path, fault, "leave it out of the body")
  end
end

-- Reads a value that is written as one text, number or word.
local function scalar(ctx, at, depth, field)
  local text = ctx.text
  local c = byte(text, at)
  if c == 123 or c == 91 or (c == 34 and not field.texts) then
    return wrong(ctx, at, depth, field.wanted, field.value)
  elseif c == 34 then
    local last, escaped = scan.text(text, at)
    local bound = ctx.bound and depth <= 2
    if not field.enum and not field.form and not bound then
      return last + 1
    end
    local value = scan.characters(text, at, last, escaped)
    if field.enum then
      local full = field.enum.values[value]
      if not full then
        faults.value(ctx.faults, path_of(ctx, depth), value, field)
      elseif full ~= value then
        edit(ctx, at, last, '"' .. full .. '"')
      end
    elseif field.form and not field.form(value) then
      faults.form(ctx.faults, path_of(ctx, depth), value, scan.quoted(faults.shown(value)), field, field.value)
    elseif bound then
      compare_with_path(ctx, depth, value)
    end
    return last + 1
  elseif c == 116 or c == 102 then
    if not field.words then
      return wrong(ctx, at, depth, field.wanted, field.value)
    end
    return scan.word(text, at)
  elseif c == 45 or (c and c >= 48 and c <= 57) then
    if not field.numbers then
      return wrong(ctx, at, depth, field.wanted, field.value)
    end
    local after = scan.number(text, at)
    local value = sub(text, at, after - 1)
    if field.form and not field.form(value) then
      faults.form(ctx.faults, path_of(ctx, depth), value, sub(value, 1, 31), field, field.value)
    end
    return after
  end
  return scan.word(text, at)
end

local single

local function map_member(ctx, at, depth, key, _, _, seen, field)
  if seen[key] then
    add(ctx, depth, "appears twice", "each name once")
  end
  seen[key] = true
  return single(ctx, at, depth, field.entry)
end

local function message_member(ctx, at, depth, key, first, last, seen, message)
  local field = message.names[key]
  if not field then
    faults.unknown(ctx.faults, path_of(ctx, depth - 1), key, message, "body", depth == 1 and ctx.root)
    return generic(ctx, at, depth)
  end
  local name = field.name
  ctx.trail[depth] = name
  if depth == 1 and ctx.named[name] then
    add(ctx, depth, "is in the body and among the parameters", "leave the parameter out")
  end
  if seen[name] then
    local other = seen[name] == key and "appears twice" or "appears twice, as " .. seen[name] .. " and as " .. key
    add(ctx, depth, other, field.example)
  end
  seen[name] = key
  if byte(ctx.text, at) == 110 and not field.null then
    return scan.word(ctx.text, at)
  end
  local oneof = field.oneof
  if oneof then
    local other = seen[oneof]
    if other and other ~= name then
      add(ctx, depth, "is there beside " .. other .. ": only one of " .. oneof.names .. " may be", field.example)
    end
    seen[oneof] = name
  end
  if field.json and key ~= name and key ~= field.camel then
    local after = generic(ctx, at, depth)
    edit(ctx, first, last, '"' .. name .. '"')
    edit(ctx, at, after - 1, scan.quoted(sub(ctx.text, at, after - 1)))
    return after
  end
  if field.repeated then
    if byte(ctx.text, at) ~= 91 then
      return wrong(ctx, at, depth, "a list", field.value)
    end
    return list(ctx, at, depth + 1, single, field)
  end
  return single(ctx, at, depth, field)
end

-- Reads one value of a field: of a list, its element; of a map, the whole.
function single(ctx, at, depth, field)
  local c = byte(ctx.text, at)
  if field.any then
    return generic(ctx, at, depth)
  elseif field.map or field.message or field.open then
    if c ~= 123 then
      return wrong(ctx, at, depth, "an object", field.value)
    elseif field.open then
      return object(ctx, at, depth + 1, generic_member)
    end
    return object(ctx, at, depth + 1, field.map and map_member or message_member, field.map and field or field.message)
  elseif field.list then
    if c ~= 91 then
      return wrong(ctx, at, depth, "a list", field.value)
    end
    return list(ctx, at, depth + 1, generic)
  elseif c == 110 then
    local after = scan.word(ctx.text, at)
    add(ctx, depth, "is null, not " .. field.wanted, field.value)
    return after
  end
  return scalar(ctx, at, depth, field)
end

local function applied(text, edits)
  local parts, from = {}, 1
  for _, change in ipairs(edits) do
    parts[#parts + 1] = sub(text, from, change.first - 1)
    parts[#parts + 1] = change.text
    from = change.last + 1
  end
  return table.concat(parts) .. sub(text, from)
end

-- Checks a body. Returns the body to pass on, nil if it is as it was; raises a fault of scan.lua for what is no JSON.
--
-- `root`: the field of the request that the body is; nil for the whole request. `bound`: values of the path, by the
-- path of their field. `named`: the fields of the request that are parameters.
return function(text, message, root, bound, named, found)
  local ctx = {text = text, trail = {}, edits = {}, faults = found, root = root, bound = bound}
  ctx.named = root and {} or named
  local at = scan.blank(text, 1)
  local c = byte(text, at)
  if not c then
    return nil
  elseif c ~= 123 then
    scan.expected(text, at, "an object, as in " .. message.example)
  end
  at = scan.blank(text, object(ctx, at, 1, message_member, message))
  if at <= #text then
    scan.expected(text, at, "the end of the body")
  end
  if #ctx.edits == 0 then
    return nil
  end
  return applied(text, ctx.edits)
end
