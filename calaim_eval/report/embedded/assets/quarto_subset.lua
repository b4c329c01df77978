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
    local mark = label ~= "" and (" <" .. label .. ">") or ""
    return pandoc.RawBlock("typst", string.format(
      "#figure(image(%s, width: %s, alt: %s), caption: [%s])%s",
      typst_string(image.src), image.attributes.width or "100%", typst_string(alt), typst_of(caption), mark))
  end
  return pandoc.Figure({ pandoc.Plain({ image }) }, { long = { pandoc.Plain(caption) } }, figure.attr)
end

-- Tables ---------------------------------------------------------------------------------------

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
          return open .. "<caption>" .. text .. "</caption>"
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
