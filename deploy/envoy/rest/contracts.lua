-- Makes the tables that deploy/envoy/rest_contracts.py wrote of the contracts ready for use: fields by their names, and
-- messages and enums where fields name them.
local function whole(value)
  local number = value:find("^%-?%d+%.?%d*[eE]?[%+%-]?%d*$") and tonumber(value)
  return number and number == math.floor(number) and math.abs(number) < math.huge and number
end

local function between(least, most)
  return function(value)
    local number = whole(value)
    return number and number >= least and number <= most
  end
end

-- The transcoder reads a fraction or an exponent as a double, which has 53 bits: a larger number would be another one.
local INEXACT = ", too large for a fraction or an exponent: write its digits alone"

local function between_exact(least, most)
  return function(value)
    local number = whole(value)
    if number and math.abs(number) >= 2 ^ 53 and value:find("[.eE]") then
      return false, INEXACT
    end
    return number and number >= least and number <= most
  end
end

local function one_of(...)
  local values = {}
  for _, value in ipairs({...}) do
    values[value] = true
  end
  return function(value)
    return values[value]
  end
end

local special = one_of("NaN", "Infinity", "-Infinity")

local function real(value)
  return special(value) or (value:find("^%-?[%d%.]+[eE]?[%+%-]?%d*$") and tonumber(value))
end

local function time(value)
  return value:find("^%d%d%d%d%-%d%d%-%d%d[Tt]%d%d:%d%d:%d%d%.?%d*[Zz]$")
    or value:find("^%d%d%d%d%-%d%d%-%d%d[Tt]%d%d:%d%d:%d%d%.?%d*[%+%-]%d%d:%d%d$")
end

-- What is written as a text: whether it has the form. The bounds of 64 bits are those that a double can tell apart;
-- the transcoder compares exactly.
local FORMS = {
  bool = one_of("true", "false"),
  int32 = between(-2 ^ 31, 2 ^ 31 - 1),
  uint32 = between(0, 2 ^ 32 - 1),
  int64 = between_exact(-2 ^ 63, 2 ^ 63),
  uint64 = between_exact(0, 2 ^ 64),
  real = real,
  time = time,
  seconds = function(value)
    return value:find("^%-?%d+%.?%d*s$")
  end,
  base64 = function(value)
    return value:find("^[%w%+/_%-]*=*$")
  end,
}
local NUMBERS = {int32 = true, uint32 = true, int64 = true, uint64 = true, real = true}

local function field_ready(field, schema)
  field.form = FORMS[field.kind]
  field.texts = field.kind ~= nil
  field.numbers = NUMBERS[field.kind] or field.kind == "enum"
  field.words = field.kind == "bool"
  field.enum = schema.enums[field.enum]
  field.message = schema.messages[field.message]
  if field.entry then
    field_ready(field.entry, schema)
  end
end

return function(schema)
  for _, message in pairs(schema.messages) do
    message.names, message.all, message.singular = {}, {}, {}
    for _, field in ipairs(message.order) do
      field_ready(field, schema)
      field.oneof = message.oneofs[field.oneof]
      message.all[#message.all + 1] = field.json or field.name
      for _, name in ipairs({field.json or field.name, field.camel, field.name}) do
        message.names[name] = field
      end
      if field.repeated and field.name:find("s$") then
        message.singular[field.name:sub(1, -2)] = field
      end
    end
  end
  for _, route in ipairs(schema.routes) do
    route.message = schema.messages[route.message]
    route.body_message = schema.messages[route.body_message]
  end
  return schema
end
