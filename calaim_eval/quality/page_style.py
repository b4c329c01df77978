"""Style of the page: readable on screen, in print, and without colour."""

STYLE = """
:root{--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--stop:#a40e26;--warn:#8a4b00;--note:#0b4f8a;
--ok:#17603a}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
color:var(--ink);margin:0;background:#fff}
main{max-width:84rem;margin:0 auto;padding:1.5rem}
h1{font-size:1.7rem;line-height:1.2;margin:.1rem 0 1rem}
h2{font-size:1.25rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.2rem}
h3{font-size:1.02rem;margin:0 0 .2rem}
.kicker{margin:0;color:var(--soft);text-transform:uppercase;letter-spacing:.06em;font-size:.8rem}
.verdict{font-size:1.15rem;padding:.8rem 1rem;border-left:.5rem solid;background:#f6f8fa;margin:0}
.verdict.stop{border-color:var(--stop)}.verdict.warn{border-color:#d98500}
.verdict.ok{border-color:var(--ok)}
.tiles{list-style:none;display:flex;flex-wrap:wrap;gap:.6rem;padding:0;margin:1rem 0}
.tile{border:1px solid var(--line);border-radius:.4rem;padding:.35rem .8rem}
.tile b{font-size:1.25rem;margin-right:.25rem}
.tile.stop b{color:var(--stop)}.tile.warn b{color:var(--warn)}.tile.note b{color:var(--note)}
.tile.clean b{color:var(--ok)}
.restricted{font-size:.9rem;color:var(--soft)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);font-size:.85rem;padding:.2rem 0}
th{text-align:left;font-weight:600}
.n{text-align:right;white-space:nowrap}
.list{width:100%}.list td,.list th{padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);
vertical-align:top}
.badge{display:inline-block;font-size:.75rem;font-weight:600;padding:.05rem .5rem;
border-radius:1rem;border:1.5px solid;white-space:nowrap;vertical-align:.1em}
.badge.stop{color:#fff;background:var(--stop);border-color:var(--stop)}
.badge.warn{color:var(--warn);background:#fff4e0}
.badge.note{color:var(--note);background:#fff}
.badge.accepted{color:var(--soft);background:#fff;border-style:dashed}
.finding{border:1px solid var(--line);border-left:.35rem solid var(--line);border-radius:.3rem;
padding:.7rem 1rem;margin:.8rem 0;break-inside:avoid}
.finding.stop{border-left-color:var(--stop)}.finding.warn{border-left-color:#d98500}
.finding.note{border-left-color:#6c9bc7}
.id{margin:0 0 .4rem;font-size:.8rem;color:var(--soft)}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.3rem 0}
dt{color:var(--soft)}dd{margin:0}
.groups{margin:.6rem 0 0}.groups th,.groups td{padding:.12rem 1rem .12rem 0;font-size:.9rem}
.groups tbody th{font-weight:400}
.bar{width:9rem}.bar i{display:block;height:.7rem;background:#6c9bc7;min-width:1px}
.more{font-size:.85rem;color:var(--soft);margin:.2rem 0}
figure{margin:.7rem 0 0}svg{display:block;width:100%;height:48px}
svg rect{fill:#6c9bc7}svg circle{fill:#57606a}
figcaption{font-size:.8rem;color:var(--soft)}
.scroll{overflow-x:auto;margin-bottom:1.2rem}
.heat{font-size:9.5px;line-height:1.2}
.heat th,.heat td{padding:1px 0;text-align:center;min-width:18px;border:1px solid #fff}
.heat thead th{color:var(--soft);font-weight:600}
.heat tbody th{text-align:left;white-space:nowrap;font-weight:400;padding-right:8px;
position:sticky;left:0;background:#fff}
.l2{background:#c3d8ec}.l1{background:#e1ecf6}.m{background:#f4f6f8}.h1{background:#fdeed3}
.h2{background:#f9dca8}
.gap{background:#7d0a1e;color:#fff;font-weight:700}
.drop{background:#23527c;color:#fff;font-weight:700}
.surge{background:#8a4b00;color:#fff;font-weight:700}
.arriving{background:repeating-linear-gradient(45deg,#fff,#fff 3px,#d0d7de 3px,#d0d7de 4px)}
.small,.none{color:#8c959f;background:#fff}
.key{font-weight:600;padding:0 .35rem;border-radius:.2rem}
.lags th,.lags td{padding:.15rem .5rem;text-align:right;font-size:.85rem;white-space:nowrap;
border-bottom:1px solid var(--line)}
.lags .open{background:#fdeed3;font-weight:700}
.clean dt{font-weight:600;color:var(--ink)}
footer{color:var(--soft);font-size:.85rem;overflow-wrap:anywhere}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
a{color:#0b4f8a}
@page{size:letter portrait;margin:1.5cm}
@page wide{size:letter landscape;margin:1cm}
h2,h3,caption{break-after:avoid}footer{break-inside:avoid}
@media print{body{font-size:10pt}main{max-width:none;padding:0}
.wide{page:wide;break-before:page}.heat{font-size:6.2pt}.heat th,.heat td{min-width:0}
.scroll{overflow:visible}.heat tr{break-inside:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}a{color:inherit;text-decoration:none}}
@media(max-width:40rem){dl{grid-template-columns:1fr}.bar{display:none}}
"""
