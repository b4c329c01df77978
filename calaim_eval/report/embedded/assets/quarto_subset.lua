-- The part of Quarto's Markdown that this project's pages use: cross-references, callouts,
-- tabsets, conditional content, figure grids, page breaks. Numbers are given here, once, so that
-- every format has the same ones.

local is_html = FORMAT:match("html") ~= nil
local is_typst = FORMAT == "typst"
local is_docx = FORMAT == "docx"

local numbers = {} -- label -> the number a reader sees ("3", "3a", "2.1")
local counts = { fig = 0, tbl = 0 }
local words = { fig = "Figure", tbl = "Table", sec = "Section" }
local numbers_sections = false
local unknown = {}

local function kind_of(label)
  return label:match("^(fig)%-") or label:match("^(tbl)%-") or label:match("^(sec)%-")
end

local function typst_string(text)
  return '"' .. text:gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("\n", " ") .. '"'
end

local function typst_of(inlines)
  return pandoc.write(pandoc.Pandoc({ pandoc.Plain(inlines) }), "typst"):gsub("%s+$", "")
end

-- Conditional content --------------------------------------------------------------------------

local function matches(format)
  return (format == "html" and is_html)
    or ((format == "typst" or format == "pdf") and is_typst)
    or (format == "docx" and is_docx)
end

local function is_visible(element)
  local show = true
  local wanted = element.attributes["when-format"]
  local unwanted = element.attributes["unless-format"]
  if wanted then show = matches(wanted) end
  if unwanted then show = not matches(unwanted) end
  if element.classes:includes("content-hidden") then show = not show end
  return show
end

local function conditional(element)
  if element.classes:includes("content-visible") or element.classes:includes("content-hidden") then
    return is_visible(element) and element.content or {}
  end
end

-- Numbers --------------------------------------------------------------------------------------

local section_counts, top_level = {}, nil

local function number_header(header)
  if header.classes:includes("unnumbered") then return nil end
  local depth = header.level - top_level + 1
  section_counts[depth] = (section_counts[depth] or 0) + 1
  for deeper = depth + 1, 9 do section_counts[deeper] = nil end
  local parts = {}
  for level = 1, depth do parts[level] = tostring(section_counts[level] or 0) end
  local number = table.concat(parts, ".")
  numbers[header.identifier] = number
  header.content:insert(1, pandoc.Space())
  header.content:insert(1, pandoc.Span({ pandoc.Str(number) }, { class = "section-number" }))
  return header
end

local function next_number(kind)
  counts[kind] = counts[kind] + 1
  return tostring(counts[kind])
end

local function number_floats(blocks)
  blocks:walk({
    traverse = "topdown",
    Figure = function(figure)
      if kind_of(figure.identifier) == "fig" and not numbers[figure.identifier] then
        numbers[figure.identifier] = next_number("fig")
      end
    end,
    Div = function(div)
      local kind = kind_of(div.identifier)
      if kind ~= "fig" and kind ~= "tbl" then return nil end
      numbers[div.identifier] = next_number(kind)
      if kind == "fig" then
        local letter = 0
        div.content:walk({
          Figure = function(inner)
            if kind_of(inner.identifier) == "fig" then
              letter = letter + 1
              numbers[inner.identifier] = numbers[div.identifier] .. string.char(96 + letter)
            end
          end,
        })
      end
      return nil
    end,
  })
end

local function titled(label, inlines)
  local kind = kind_of(label)
  local caption = pandoc.Inlines({
    pandoc.Strong({ pandoc.Str(words[kind] .. "\u{a0}" .. numbers[label] .. ".") }),
    pandoc.Space(),
  })
  caption:extend(inlines)
  return caption
end

-- Figures --------------------------------------------------------------------------------------

local function find_image(block)
  local image
  block:walk({ Image = function(found) image = image or found end })
  return image
end

local function alt_of(image)
  return image.attributes["fig-alt"] or image.attributes["alt"] or pandoc.utils.stringify(image.caption)
end

local function described(image)
  local alt = alt_of(image)
  image.attributes["fig-alt"] = nil
  image.attributes["alt"] = nil
  image.caption = pandoc.Inlines({ pandoc.Str(alt) })
  return image, alt
end

local function draw_figure(figure)
  local image = find_image(figure)
  if not image then return nil end
  local alt
  image, alt = described(image:clone())
  local caption = pandoc.utils.blocks_to_inlines(figure.caption.long)
  local label = figure.identifier
  if numbers[label] then caption = titled(label, caption) end
  if is_typst then
    -- A numbered figure may move to the foot of this or the next page, so that text fills the page; never
    -- to a page before the text that speaks of it.
    local float = kind_of(label) == "fig" and (numbers[label] or ""):match("^%d+$") and ", placement: bottom" or ""
    local mark = label ~= "" and (" <" .. label .. ">") or ""
    return pandoc.RawBlock("typst", string.format(
      "#figure(image(%s, width: %s, alt: %s), caption: [%s]%s)%s",
      typst_string(image.src), image.attributes.width or "100%", typst_string(alt), typst_of(caption), float, mark))
  end
  return pandoc.Figure({ pandoc.Plain({ image }) }, { long = { pandoc.Plain(caption) } }, figure.attr)
end

-- Tables ---------------------------------------------------------------------------------------

local LONG_TABLE_ROWS = 18 -- more rows than this may break over pages
-- Characters across a page at the letter sizes of tables with up to 3, up to 6, more columns. In
-- Word, narrower: the reader's font may be a wide one.
local TEXT_WIDTH = is_docx and { 94, 94, 112 } or { 104, 106, 126 }

local function size_class(tbl)
  return #tbl.colspecs <= 3 and 1 or #tbl.colspecs <= 6 and 2 or 3
end

local function lengths(text)
  local longest = 0
  for word in text:gmatch("[^ %-]+") do longest = math.max(longest, utf8.len(word) or #word) end
  return utf8.len(text) or #text, longest
end

local function make_strong(cell)
  cell.contents = cell.contents:walk({
    Plain = function(block) return pandoc.Plain({ pandoc.Strong(block.content) }) end,
    Para = function(block) return pandoc.Para({ pandoc.Strong(block.content) }) end,
  })
end

local function body_rows(tbl)
  local rows = pandoc.List({})
  for _, body in ipairs(tbl.bodies) do
    rows:extend(body.head)
    rows:extend(body.body)
  end
  return rows
end

-- What each column wants (its longest cell) and needs (its longest word), in characters.
local function measure(tbl)
  local wants, needs = {}, {}
  for column = 1, #tbl.colspecs do wants[column], needs[column] = 4, 4 end
  local function widen(column, cell, is_head)
    local whole, word = lengths(pandoc.utils.stringify(cell.contents))
    if is_head then
      word = word * (is_docx and 1.45 or 1.25)
      whole = word
    end
    wants[column] = math.max(wants[column], whole)
    needs[column] = math.max(needs[column], word)
  end
  for _, row in ipairs(body_rows(tbl)) do
    if #row.cells == #tbl.colspecs then
      for column, cell in ipairs(row.cells) do widen(column, cell, false) end
    end
  end
  -- Header cells may span columns or rows: a cell counts for its column when it has only that one.
  local taken, spanned = {}, pandoc.List({})
  for _, row in ipairs(tbl.head.rows) do
    local column, still = 1, {}
    for _, cell in ipairs(row.cells) do
      while taken[column] do column = column + 1 end
      if cell.col_span == 1 then
        widen(column, cell, true)
      else
        local _, word = lengths(pandoc.utils.stringify(cell.contents))
        spanned:insert({ first = column, count = cell.col_span, word = word * 1.25 })
      end
      for offset = 0, cell.col_span - 1 do still[column + offset] = cell.row_span > 1 or nil end
      column = column + cell.col_span
    end
    taken = still
  end
  for _, over in ipairs(spanned) do
    local have = 0
    for offset = 0, over.count - 1 do have = have + needs[over.first + offset] end
    local each = math.max(0, over.word - have) / over.count
    for column = over.first, over.first + over.count - 1 do
      needs[column] = needs[column] + each
      wants[column] = math.max(wants[column], needs[column])
    end
  end
  return wants, needs
end

local function sum(list)
  local total = 0
  for _, value in ipairs(list) do total = total + value end
  return total
end

local function text_columns(tbl)
  local count = 0
  for _, spec in ipairs(tbl.colspecs) do
    if spec[1] ~= "AlignRight" then count = count + 1 end
  end
  return count
end

-- Shares of the text width: words give way first, down to 20 characters (28 where one column
-- names the rows of numbers), then numbers wrap.
local function set_widths(tbl)
  local wants, needs = measure(tbl)
  local padding = size_class(tbl) == 3 and 1.6 or 2.4
  local room = TEXT_WIDTH[size_class(tbl)] - padding * #wants
  if sum(wants) <= room and not is_docx then return end
  local function shrink(is_text, floor)
    local excess = sum(wants) - room
    if excess <= 0 then return end
    local spare = {}
    for column, spec in ipairs(tbl.colspecs) do
      local least = math.max(needs[column], floor)
      local applies = (spec[1] ~= "AlignRight") == is_text
      spare[column] = applies and math.max(0, wants[column] - least) or 0
    end
    local total = sum(spare)
    if total == 0 then return end
    local share = math.min(1, excess / total)
    for column in ipairs(wants) do wants[column] = wants[column] - spare[column] * share end
  end
  shrink(true, text_columns(tbl) == 1 and 28 or 20)
  shrink(false, 0)
  shrink(true, 20)
  shrink(true, 12)
  local total = sum(wants) + padding * #wants
  local width = math.min(1, math.max(0.4, total / TEXT_WIDTH[size_class(tbl)]))
  for column, spec in ipairs(tbl.colspecs) do
    tbl.colspecs[column] = { spec[1], width * (wants[column] + padding) / total }
  end
end

local function notes_of(tbl)
  local notes = pandoc.Blocks({})
  for _, row in ipairs(tbl.foot.rows) do
    for _, cell in ipairs(row.cells) do
      local inlines = pandoc.utils.blocks_to_inlines(cell.contents)
      if #inlines > 0 then
        if is_typst then
          notes:insert(pandoc.RawBlock("typst", "#tablenote[" .. typst_of(inlines) .. "]"))
        else
          notes:insert(pandoc.Div({ pandoc.Para(inlines) }, { ["custom-style"] = "Table Note" }))
        end
      end
    end
  end
  tbl.foot = pandoc.TableFoot({})
  return notes
end

-- A table for PDF or Word: bold headings, widths, footnotes under it.
local function shaped(tbl)
  for _, row in ipairs(tbl.head.rows) do
    for _, cell in ipairs(row.cells) do make_strong(cell) end
  end
  for _, row in ipairs(body_rows(tbl)) do
    if #row.cells == 1 and row.cells[1].col_span > 1 then
      make_strong(row.cells[1])
      row.cells[1].alignment = "AlignLeft"
    end
  end
  set_widths(tbl)
  local blocks = pandoc.Blocks({})
  local notes = notes_of(tbl)
  blocks:insert(tbl)
  blocks:extend(notes)
  if is_typst then
    local breakable = #body_rows(tbl) > LONG_TABLE_ROWS and "true" or "false"
    local size = ({ "9.8pt", "9.1pt", "8.2pt" })[size_class(tbl)]
    blocks:insert(1, pandoc.RawBlock("typst", "#tableblock(" .. breakable .. ", " .. size .. ")["))
    blocks:insert(pandoc.RawBlock("typst", "]"))
  end
  return blocks
end

local function parsed_tables(raw)
  return pandoc.read(raw.text, "html").blocks
end

local function holds_table(block)
  return block.t == "RawBlock" and block.format:match("html") and block.text:match("<table")
end

local function draw_table(div)
  local label = div.identifier
  local content = div.content
  local caption = pandoc.Inlines({})
  local last = content[#content]
  if last and (last.t == "Para" or last.t == "Plain") then
    caption = last.content
    content:remove(#content)
  end
  caption = titled(label, caption)
  if is_html then
    local text = pandoc.write(pandoc.Pandoc({ pandoc.Plain(caption) }), "html")
    local done = false
    local blocks = content:walk({
      RawBlock = function(raw)
        if done or not holds_table(raw) then return nil end
        done = true
        raw.text = raw.text:gsub("(<table[^>]*>)", function(open)
          return open .. '<caption><span class="caption-text">' .. text .. "</span></caption>"
        end, 1)
        return raw
      end,
      Table = function(tbl)
        if done then return nil end
        done = true
        tbl.caption = { long = { pandoc.Plain(caption) } }
        return tbl
      end,
    })
    div.content = blocks
    div.classes:insert("table-block")
    div.attributes = { tabindex = "0", role = "region", ["aria-label"] = pandoc.utils.stringify(caption) }
    return div
  end
  local done = false
  local blocks = pandoc.Blocks({})
  for _, block in ipairs(content) do
    if holds_table(block) then blocks:extend(parsed_tables(block)) else blocks:insert(block) end
  end
  div.content = blocks:walk({
    Table = function(tbl)
      if done then return nil end
      done = true
      tbl.caption = { long = { pandoc.Plain(caption) } }
      return tbl
    end,
  })
  return div
end

-- Grids ----------------------------------------------------------------------------------------

local function draw_grid(div)
  local columns = tonumber(div.attributes["layout-ncol"]) or 1
  local label = div.identifier
  local content = div.content
  local caption
  local last = content[#content]
  if kind_of(label) == "fig" and last and last.t == "Para" then
    caption = titled(label, last.content)
    content:remove(#content)
  end
  local out = pandoc.Blocks({})
  if is_typst then
    out:insert(pandoc.RawBlock("typst", string.format("#grid(columns: (1fr,) * %d, gutter: 10pt,", columns)))
    for _, block in ipairs(content) do
      out:insert(pandoc.RawBlock("typst", "["))
      out:insert(block)
      out:insert(pandoc.RawBlock("typst", "],"))
    end
    out:insert(pandoc.RawBlock("typst", ")"))
  elseif is_html then
    out:insert(pandoc.Div(content, { class = "grid", style = "--columns: " .. columns }))
  else
    out:extend(content)
  end
  if caption then out:insert(pandoc.Div({ pandoc.Para(caption) }, { class = "grid-caption", ["custom-style"] = "Image Caption" })) end
  return pandoc.Div(out, { id = label })
end

-- Callouts, tabsets, page breaks ---------------------------------------------------------------

local callout_titles = { note = "Note", tip = "Tip", warning = "Warning", important = "Important", caution = "Caution" }

local function callout_kind(div)
  for kind in pairs(callout_titles) do
    if div.classes:includes("callout-" .. kind) then return kind end
  end
end

local function draw_callout(div, kind)
  local title = div.attributes.title
  if not title and div.content[1] and div.content[1].t == "Header" then
    title = pandoc.utils.stringify(div.content[1].content)
    div.content:remove(1)
  end
  title = title or callout_titles[kind]
  if is_html then
    local out = pandoc.Blocks({ pandoc.Div({ pandoc.Plain({ pandoc.Str(title) }) }, { class = "callout-title" }) })
    out:extend(div.content)
    return pandoc.Div(out, { class = "callout callout-" .. kind, role = "note", ["aria-label"] = title })
  end
  if is_typst then
    local out = pandoc.Blocks({ pandoc.RawBlock("typst", string.format("#callout(%s, %s)[", typst_string(kind), typst_string(title))) })
    out:extend(div.content)
    out:insert(pandoc.RawBlock("typst", "]"))
    return out
  end
  local out = pandoc.Blocks({ pandoc.Para({ pandoc.Strong({ pandoc.Str(title) }) }) })
  out:extend(div.content)
  return pandoc.Div(out, { ["custom-style"] = "Callout" })
end

local function draw_tabset(div)
  if not is_html then return div.content end
  local out, tab, level = pandoc.Blocks({}), nil, nil
  for _, block in ipairs(div.content) do
    if block.t == "Header" and (not level or block.level == level) then
      level = block.level
      tab = pandoc.Div({ block }, { class = "tab" })
      out:insert(tab)
    elseif tab then
      tab.content:insert(block)
    end
  end
  return pandoc.Div(out, { class = "tabset" })
end

local function page_break()
  if is_typst then return pandoc.RawBlock("typst", "#pagebreak(weak: true)") end
  if is_docx then return pandoc.RawBlock("openxml", '<w:p><w:r><w:br w:type="page"/></w:r></w:p>') end
  return pandoc.RawBlock("html", '<div class="page-break"></div>')
end

local function draw_div(div)
  local kind = callout_kind(div)
  if kind then return draw_callout(div, kind) end
  if div.classes:includes("panel-tabset") then return draw_tabset(div) end
  if div.classes:includes("page-break") then return page_break() end
  if div.attributes["layout-ncol"] then return draw_grid(div) end
  if kind_of(div.identifier) == "tbl" then return draw_table(div) end
  if kind_of(div.identifier) == "fig" then
    local caption = div.content[#div.content]
    if caption and caption.t == "Para" and not find_image(caption) then
      div.content[#div.content] = pandoc.Div({ pandoc.Para(titled(div.identifier, caption.content)) },
        { class = "grid-caption", ["custom-style"] = "Image Caption" })
    end
    return div
  end
end

-- References -----------------------------------------------------------------------------------

local function reference(citation)
  local label = citation.id
  local number = numbers[label]
  if not number then
    unknown[label] = true
    return pandoc.Strong({ pandoc.Str("?@" .. label) })
  end
  local text = number
  if citation.mode ~= "SuppressAuthor" then text = words[kind_of(label)] .. "\u{a0}" .. number end
  return pandoc.Link({ pandoc.Str(text) }, "#" .. label, "", { class = "cross-reference" })
end

local function references(cite)
  local out = pandoc.Inlines({})
  for position, citation in ipairs(cite.citations) do
    if not kind_of(citation.id) then return nil end
    if position > 1 then out:extend({ pandoc.Str(","), pandoc.Space() }) end
    out:insert(reference(citation))
  end
  return out
end

-- The document ---------------------------------------------------------------------------------

function Pandoc(doc)
  numbers_sections = doc.meta["number-sections"] == true
  doc.blocks = doc.blocks:walk({ traverse = "topdown", Div = conditional, Span = conditional })
  doc.blocks = doc.blocks:walk({ Div = function(div)
    if not div.classes:includes("panel-tabset") then return nil end
    return div:walk({ Header = function(header)
      header.classes:extend({ "unnumbered", "unlisted" })
      return header
    end })
  end })
  doc.blocks:walk({ Header = function(header)
    if not top_level or header.level < top_level then top_level = header.level end
  end })
  if numbers_sections then doc.blocks = doc.blocks:walk({ Header = number_header }) end
  number_floats(doc.blocks)
  doc.blocks = doc.blocks:walk({ Figure = draw_figure })
  doc.blocks = doc.blocks:walk({ Div = draw_div })
  if not is_html then
    doc.blocks = doc.blocks:walk({ RawBlock = function(raw)
      if holds_table(raw) then return parsed_tables(raw) end
    end })
    doc.blocks = doc.blocks:walk({ Table = shaped })
  end
  doc.blocks = doc.blocks:walk({ Cite = references, Image = function(image)
    if image.attributes["fig-alt"] then return (described(image)) end
  end })
  local missing = {}
  for label in pairs(unknown) do missing[#missing + 1] = label end
  if #missing > 0 then
    table.sort(missing)
    io.stderr:write("unknown references: " .. table.concat(missing, ", ") .. "\n")
  end
  return doc
end
