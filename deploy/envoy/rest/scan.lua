-- Reads JSON (RFC 8259) by positions, without building values. A fault of the text ends the reading: `error` is
-- raised with a table {at = position, what = text}.
local byte, find, sub, format = string.byte, string.find, string.sub, string.format

local scan = {}

function scan.fault(at, what)
  error({at = at, what = what}, 0)
end

-- The place of a byte for people: line and column, in characters, both from 1.
function scan.place(text, at)
  local line, column = 1, 1
  for i = 1, math.min(at, #text + 1) - 1 do
    local c = byte(text, i)
    if c == 10 then
      line, column = line + 1, 1
    elseif c < 128 or c >= 192 then
      column = column + 1
    end
  end
  return line, column
end

-- The first position from `at` on that is no white space.
function scan.blank(text, at)
  local c = byte(text, at)
  while c == 32 or c == 10 or c == 13 or c == 9 do
    at = at + 1
    c = byte(text, at)
  end
  return at
end

-- What stands at a position, for "Expected …, found …".
function scan.found(text, at)
  local c = byte(text, at)
  if not c then
    return "the end of the body"
  elseif c > 32 and c < 127 then
    return "'" .. sub(text, at, at) .. "'"
  end
  return format("the byte 0x%02X", c)
end

function scan.expected(text, at, what)
  if at > #text then
    scan.fault(at, "Unexpected end of the body: expected " .. what)
  end
  scan.fault(at, "Expected " .. what .. ", found " .. scan.found(text, at))
end

local function continues(c)
  return c and c >= 0x80 and c <= 0xBF
end

-- The end of a character of several bytes (RFC 3629); nil for what is no UTF-8.
function scan.character(text, at)
  local c, second, third, fourth = byte(text, at, at + 3)
  if not continues(second) then
    return nil
  elseif c >= 0xC2 and c <= 0xDF then
    return at + 1
  elseif c < 0xE0 or c > 0xF4 or not continues(third) then
    return nil
  elseif c <= 0xEF then
    -- Not what has a shorter form, and no surrogate.
    if (c == 0xE0 and second < 0xA0) or (c == 0xED and second > 0x9F) then
      return nil
    end
    return at + 2
  elseif (c == 0xF0 and second < 0x90) or (c == 0xF4 and second > 0x8F) or not continues(fourth) then
    return nil
  end
  return at + 3
end

local HEXADECIMAL, SHORT = {}, {}
for digit in ("0123456789abcdefABCDEF"):gmatch(".") do
  HEXADECIMAL[byte(digit)] = tonumber(digit, 16)
end
for sign in ('"\\/bfnrt'):gmatch(".") do
  SHORT[byte(sign)] = true
end

-- The number that four hexadecimal digits are; nil for what are none.
local function unit(text, at)
  local a, b, c, d = byte(text, at, at + 3)
  if not d then
    return nil
  end
  a, b, c, d = HEXADECIMAL[a], HEXADECIMAL[b], HEXADECIMAL[c], HEXADECIMAL[d]
  return a and b and c and d and ((a * 16 + b) * 16 + c) * 16 + d
end

-- The last position of the escape that begins at `at`.
local function escape(text, at)
  local c = byte(text, at + 1)
  if c ~= 117 then
    if not SHORT[c or 0] then
      scan.fault(at, "An escape in a string is wrong: it may be \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u with four digits")
    end
    return at + 1
  end
  local code = unit(text, at + 2)
  if not code then
    scan.fault(at, "An escape in a string is wrong: \\u needs four hexadecimal digits")
  elseif code >= 0xD800 and code <= 0xDBFF then
    local low = byte(text, at + 6) == 92 and byte(text, at + 7) == 117 and unit(text, at + 8)
    if low and low >= 0xDC00 and low <= 0xDFFF then
      return at + 11
    end
  end
  if code >= 0xD800 and code <= 0xDFFF then
    scan.fault(at, "A string has a lone surrogate, which is no character: write both, as in \\ud83d\\ude00")
  end
  return at + 5
end

-- The position of the quote that ends the string which begins at `at`, and whether the string has escapes.
function scan.text(text, at)
  local escaped, i = false, at + 1
  while true do
    local c = byte(text, i)
    if not c then
      scan.fault(at, "Unexpected end of the body: the string that begins here has no closing quote")
    elseif c == 34 then
      return i, escaped
    elseif c == 92 then
      escaped, i = true, escape(text, i) + 1
    elseif c < 32 then
      scan.fault(i, "A string has a control character: write it as an escape, such as \\n")
    elseif c < 128 then
      i = i + 1
    else
      local last = scan.character(text, i)
      if not last then
        scan.fault(i, "The body is not UTF-8: found " .. scan.found(text, i))
      end
      i = last + 1
    end
  end
end

local function digits(text, at)
  local c = byte(text, at)
  if not c or c < 48 or c > 57 then
    scan.expected(text, at, "a digit")
  end
  while c and c >= 48 and c <= 57 do
    at = at + 1
    c = byte(text, at)
  end
  return at
end

-- The first position after the number that begins at `at`.
function scan.number(text, at)
  local first = byte(text, at) == 45 and at + 1 or at
  at = digits(text, first)
  if at > first + 1 and byte(text, first) == 48 then
    scan.fault(first, "A number begins with 0: JSON has no leading zeros")
  end
  if byte(text, at) == 46 then
    at = digits(text, at + 1)
  end
  local c = byte(text, at)
  if c == 101 or c == 69 then
    c = byte(text, at + 1)
    at = digits(text, (c == 43 or c == 45) and at + 2 or at + 1)
  end
  return at
end

local WORDS = {[116] = "true", [102] = "false", [110] = "null"}

-- The first position after true, false or null.
function scan.word(text, at)
  local word = WORDS[byte(text, at)]
  if word and sub(text, at, at + #word - 1) == word and not sub(text, at + #word, at + #word):find("[%w_]") then
    return at + #word
  end
  scan.expected(text, at, "a value: an object, a list, a text in double quotes, a number, true, false or null")
end

local SIMPLE = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t"}

local function utf8(code)
  local char, floor = string.char, math.floor
  if code < 0x80 then
    return char(code)
  elseif code < 0x800 then
    return char(0xC0 + floor(code / 64), 0x80 + code % 64)
  elseif code < 0x10000 then
    return char(0xE0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
  end
  return char(0xF0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64, 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
end

-- The characters of a string that `scan.text` has read, whose quotes are at `first` and `last`. Escapes are read one after
-- the other: what follows an escaped backslash is none, whatever it looks like.
function scan.characters(text, first, last, escaped)
  if not escaped then
    return sub(text, first + 1, last - 1)
  end
  local parts, from = {}, first + 1
  local at = find(text, "\\", from, true)
  while at and at < last do
    parts[#parts + 1] = sub(text, from, at - 1)
    local kind = sub(text, at + 1, at + 1)
    if kind ~= "u" then
      parts[#parts + 1] = SIMPLE[kind] or kind
      from = at + 2
    else
      local code = unit(text, at + 2)
      from = at + 6
      if code >= 0xD800 and code <= 0xDBFF then
        code = 0x10000 + (code - 0xD800) * 1024 + unit(text, from + 2) - 0xDC00
        from = from + 6
      end
      parts[#parts + 1] = utf8(code)
    end
    at = find(text, "\\", from, true)
  end
  parts[#parts + 1] = sub(text, from, last - 1)
  return table.concat(parts)
end

local function escaped(c)
  if c == '"' or c == "\\" then
    return "\\" .. c
  end
  return format("\\u%04x", byte(c))
end

-- A text, which must be UTF-8, as a JSON string.
function scan.quoted(text)
  return '"' .. text:gsub('[%z\1-\31"\\\127]', escaped) .. '"'
end

-- The text with U+FFFD in place of each byte that is no UTF-8.
function scan.readable(text)
  local parts, from, i = {}, 1, 1
  while i <= #text do
    local last = byte(text, i) < 128 and i or scan.character(text, i)
    if not last then
      parts[#parts + 1] = sub(text, from, i - 1) .. "\239\191\189"
      last, from = i, i + 1
    end
    i = last + 1
  end
  return table.concat(parts) .. sub(text, from)
end

return scan
