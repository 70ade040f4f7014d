"""How the page looks: one column, no wider than the screen of a phone where there is no more."""

from __future__ import annotations

from ko_pants.publish_page.palette import declarations

_RULES = r"""
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--text);
font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,Ubuntu,"Helvetica Neue",sans-serif}
header,main,footer{max-width:72rem;margin:0 auto;padding:0 1rem}
header{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:baseline;padding-top:1.5rem}
header p{margin:0}
footer{padding-top:1rem;padding-bottom:2rem;color:var(--muted);font-size:.85rem}
h1,h2,h3,p,dl,dd,ul,table{margin:0;padding:0}
h1{font-size:1.35rem;line-height:1.25;font-weight:600;overflow-wrap:anywhere}
h2{font-size:1rem;font-weight:600;margin:1.75rem 0 .5rem}
h3{font-size:1rem;font-weight:600}
ul{list-style:none}
code,.repository,.target{overflow-wrap:anywhere}
code,.number,time{font-variant-numeric:tabular-nums}
code{font:.86em/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
a{color:var(--link)}
[hidden]{display:none!important}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:3px}
.muted{color:var(--muted)}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);
white-space:nowrap}
.sentence{margin:.5rem 0 1rem;max-width:62rem}
.count{color:var(--muted);font-weight:400}

.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.6rem}
.tile,.image,#timeline>table,#timeline>details{background:var(--card);
border:1px solid var(--line);border-radius:8px}
.tile{padding:.65rem .8rem}
.tile dt{color:var(--muted);font-size:.85rem}
.tile strong{font-size:1.4rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums}
.tile ul{font-size:.85rem}
.bar{display:block;width:100%;height:6px;margin:.3rem 0 .4rem;border-radius:3px;
background:var(--inset)}
.dot{display:inline-block;width:.6em;height:.6em;border-radius:2px;background:currentColor}
.bad{color:var(--bad);fill:var(--bad)}
.new{color:var(--new);fill:var(--new)}
.moved{color:var(--moved);fill:var(--moved)}
.same{color:var(--same);fill:var(--same)}
.none{color:var(--none);fill:var(--none)}
.compile{color:var(--compile);fill:var(--compile)}
.layer{color:var(--layer);fill:var(--layer)}
.upload{color:var(--upload);fill:var(--upload)}
.tags{color:var(--tags);fill:var(--tags)}

.badge{display:inline-block;padding:.05rem .5rem;border-radius:999px;font-size:.85rem;
white-space:nowrap}
.badge.bad{background:var(--bad-ground)}
.badge.new{background:var(--new-ground)}
.badge.moved{background:var(--moved-ground)}
.badge.same{background:var(--same-ground)}
.badge.none{background:var(--none-ground)}
.sign{font-weight:700}

.tools{display:none;flex-wrap:wrap;gap:.5rem;align-items:center}
.script .tools{display:flex}
.tools label{flex:1 1 16rem}
input,button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);
border-radius:6px}
input{width:100%;padding:.4rem .6rem;border-color:var(--muted)}
input::placeholder{color:var(--muted);opacity:1}
.tools button{padding:.4rem .7rem;cursor:pointer;border-color:var(--muted)}
.choices{display:flex;flex-wrap:wrap;gap:.4rem}
.choice[aria-pressed=true]{background:var(--inset);box-shadow:inset 0 0 0 1px currentColor;
border-color:currentColor}
.tools .choice{color:var(--text)}
output{color:var(--muted)}

.image{margin:.3rem 0}
summary{cursor:pointer;border-radius:8px}
.image>summary{display:grid;grid-template-columns:auto auto 1fr auto;gap:.15rem .7rem;
align-items:baseline;
padding:.4rem .8rem;list-style:none}
.image>summary::-webkit-details-marker{display:none}
.image>summary::before{content:"";align-self:center;border:solid transparent;
border-width:.27em 0 .27em .42em;border-left-color:var(--muted)}
.image[open]>summary::before{transform:rotate(90deg)}
.image>summary:hover{background:var(--inset)}
.image[open]>summary{border-bottom:1px solid var(--line);border-radius:8px 8px 0 0}
.outcome .badge{min-width:6.6em;text-align:center}
.facts{color:var(--muted);font-size:.85rem;text-align:right;font-variant-numeric:tabular-nums}
.body{padding:.8rem}
.reason{margin-bottom:.8rem;padding:.5rem .7rem;border-left:3px solid var(--none);
background:var(--inset);
white-space:pre-wrap;overflow-wrap:anywhere}
[data-outcome=failed] .reason{border-color:var(--bad)}
h4{font-size:.95rem;font-weight:600;margin:0 0 .15rem}
.changes{margin-bottom:.9rem}
.changes li{overflow-wrap:anywhere}
.changes ul+ul:not(.caused){margin-top:.5rem}
.caused{color:var(--muted);margin-left:1.1rem}
.caused li::before{content:"→";margin-right:.45rem}
.changes p{color:var(--muted)}
.about{display:grid;grid-template-columns:auto 1fr;gap:.15rem .9rem}
.about dt{color:var(--muted)}
.copy{display:none;margin-left:.45rem;padding:0 .4rem;font-size:.78rem;color:var(--muted);
cursor:pointer;
background:none;vertical-align:baseline}
.script .copy{display:inline-block}
.copy:hover{color:var(--text);border-color:var(--muted)}

table{border-collapse:collapse;width:100%;font-size:.9rem}
th{text-align:left;font-weight:400}
thead th,caption{color:var(--muted);font-size:.85rem}
caption{text-align:left;padding:.9rem 0 .2rem;font-weight:600;color:var(--text);font-size:.95rem}
.layers td,.layers th{padding:.22rem .9rem .22rem 0;vertical-align:baseline}
.layers tbody tr{border-top:1px solid var(--line)}
.layers .number{text-align:right;white-space:nowrap}
.layers .platform th{padding-top:.55rem;font-weight:600}
.layers .platform .muted{font-weight:400}
.layers code.digest{display:inline-block;max-width:19ch;overflow:hidden;text-overflow:ellipsis;
white-space:nowrap;
vertical-align:bottom}
.base .layers code.digest{max-width:none;white-space:normal}
.base>.layers{margin:.4rem .8rem .6rem;width:calc(100% - 1.6rem)}

.legend{display:flex;flex-wrap:wrap;gap:.1rem 1rem;margin:.1rem 0 .5rem;font-size:.9rem}
#timeline>table,#timeline>details{padding:.3rem .8rem;border-spacing:0}
#timeline>table{border-collapse:separate;margin-bottom:.4rem}
#timeline summary{padding:.2rem 0}
.timeline{table-layout:fixed}
.timeline th{width:18rem;padding:.25rem .8rem .25rem 0;overflow-wrap:anywhere;
vertical-align:middle}
.timeline th+th{width:auto;padding:0}
.timeline th:nth-child(3),.timeline .number{width:7.5rem;text-align:right;white-space:nowrap}
.timeline td{padding:.25rem 0;vertical-align:middle}
.timeline .number{font-size:.85rem;color:var(--muted)}
svg.lanes,svg.axis{display:block;width:100%}
svg.lanes{height:27px;background:var(--inset);border-radius:3px}
svg.axis{height:14px}
.grid{stroke:var(--line)}
.tick{fill:var(--muted);font-size:11px;text-anchor:middle}

@media (max-width:46rem){
header{padding-top:1rem}
.tiles{grid-template-columns:1fr 1fr}
.tile:last-child{grid-column:1/-1}
.image>summary{grid-template-columns:auto auto 1fr}
.image>summary::before{grid-area:1/1}
.image>summary .target{grid-area:1/2/auto/-1}
.image>summary .badge{grid-area:2/2}
.image>summary .facts{grid-area:2/3;text-align:left}
.image.base>summary .muted{grid-column:2}
.about{grid-template-columns:1fr;gap:0}
.about dd{margin-bottom:.3rem}
.layers thead{position:absolute;clip-path:inset(50%)}
.layers,.layers tbody{display:block}
.layers tr{display:grid;grid-template-columns:1fr auto;gap:0 .8rem;padding:.35rem 0}
.layers td,.layers th{padding:0}
.layers td:nth-child(4){grid-column:1/-1;order:1;color:var(--muted)}
.layers td:nth-child(3){order:2}
.layers td:nth-child(5){order:3;justify-self:end}
.timeline,.timeline tbody{display:block}
.timeline thead{display:block}
.timeline thead tr{display:block}
.timeline thead th{display:none}
.timeline thead th+th:nth-child(2){display:block}
.timeline tbody tr{display:grid;grid-template-columns:1fr auto;gap:0 .8rem;padding:.35rem 0}
.timeline tbody td:nth-child(2){grid-column:1/-1;order:3}
.timeline th,.timeline td,.timeline .number{width:auto;padding:0}
}
@media print{
body{background:none}
.tools,.copy{display:none!important}
}
"""

STYLE = (
    f":root{{color-scheme:light dark;{declarations(0)}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{declarations(1)}}}}}{_RULES}"
)
