"""The look of the report page: one column of ink on paper, one colour for the model, one for what went wrong.

No outside address: the fonts are the reader's own, Chinese ones included.
"""

STYLE = """
:root{--paper:#fbfaf7;--sheet:#fff;--ink:#1b1c1a;--soft:#62645e;--faint:#8b8d86;--line:#e4e2da;--own:15 118 110;
--bad:178 66 42;--good:#0f766e;--wait:#946200;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--paper:#121413;--sheet:#191c1a;--ink:#eceae3;--soft:#a9aaa2;--faint:#7d7f78;
--line:#2c302d;--own:88 190 174;--bad:233 128 103;--good:#58beae;--wait:#d9a94a}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.6 system-ui,-apple-system,"Segoe UI","PingFang SC",
"Noto Sans CJK SC","Microsoft YaHei",sans-serif;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
main,header,footer{max-width:1080px;margin:0 auto;padding:0 32px}
header{padding-top:40px}
a{color:inherit}
.mark{display:flex;justify-content:space-between;gap:16px;font-size:14px;color:var(--soft);border-bottom:1px solid
var(--line);padding-bottom:14px}
.mark b{color:var(--ink);font-weight:600;letter-spacing:.02em}
h1{font-size:clamp(34px,6vw,60px);line-height:1.08;letter-spacing:-.03em;font-weight:600;margin:52px 0 10px}
h1 small{font-size:18px;letter-spacing:0;font-weight:400;color:var(--soft);margin-left:16px;white-space:nowrap}
.about{font-size:19px;color:var(--soft);margin:0;max-width:40em}
.verdict{margin:36px 0 0;display:flex;flex-wrap:wrap;align-items:baseline;gap:8px 16px}
.pill{font-weight:600;font-size:15px;padding:4px 14px 4px 11px;border-radius:99px;border:1px solid currentColor;
white-space:nowrap}
.pill::before{content:"";display:inline-block;width:8px;height:8px;border-radius:50%;background:currentColor;
margin-right:9px;vertical-align:1px}
.promote{color:var(--good)}.keep{color:rgb(var(--bad))}.not-enough-rows,.unseen{color:var(--wait)}
.verdict p{margin:0;color:var(--soft);font-size:15px}
.hero{display:grid;grid-template-columns:auto minmax(0,1fr);gap:20px 72px;align-items:end;margin:48px 0 44px}
.hero .figure{font-size:clamp(76px,13vw,132px);line-height:.86;letter-spacing:-.05em;font-weight:500}
.hero .what{font-size:17px;color:var(--soft);margin-top:20px}.hero .what b{color:var(--ink);font-weight:600}
.facts{display:grid;grid-template-columns:repeat(5,1fr);border-top:1px solid var(--line);border-bottom:1px solid
var(--line);margin:0}
.facts div{padding:18px 16px 16px;border-left:1px solid var(--line)}.facts div:first-child{border-left:0;padding-left:0}
.facts dt{font-size:13.5px;color:var(--soft);line-height:1.4}
.facts dd{margin:0;font-size:23px;font-weight:500;letter-spacing:-.02em;line-height:1.25}
section{display:grid;grid-template-columns:220px minmax(0,1fr);gap:18px 56px;padding:60px 0;border-bottom:1px solid
var(--line)}
section:last-child{border-bottom:0}
h2{font-size:22px;line-height:1.25;letter-spacing:-.015em;font-weight:600;margin:0 0 10px}
.guide{font-size:14.5px;line-height:1.55;color:var(--soft);margin:0}
h3{font-size:15px;font-weight:600;margin:36px 0 12px}h3:first-child{margin-top:0}
.rows{display:grid;gap:0}
.row,.scale{display:grid;grid-template-columns:minmax(130px,1.3fr) 2fr 124px;gap:0 24px;align-items:center}
.row{padding:9px 0;border-top:1px solid var(--line)}.row:first-child,.scale+.row{border-top:0}
.row .name{line-height:1.35}.row small,.scale,.more{color:var(--soft);font-size:13.5px}.row .name small{display:block}
.row .num{text-align:right;line-height:1.3}.row .num b{font-weight:600}.row .num small{display:block}
.row.main .name b{color:rgb(var(--own))}.row .name b{font-weight:600}
.track{position:relative;height:26px;background:linear-gradient(var(--line),var(--line)) 0 50%/100% 1px no-repeat}
.track i{position:absolute;display:block}
.span{top:8px;height:10px;min-width:2px;border-radius:5px;background:rgb(var(--own)/.3)}
.dot{top:8px;width:10px;height:10px;margin-left:-5px;border-radius:50%;background:rgb(var(--own))}
.tick{top:4px;width:2px;height:18px;margin-left:-1px;background:var(--faint)}
.line{top:-9px;bottom:-9px;width:0;margin-left:-.5px;border-left:1px dashed var(--faint)}
.worse .span{background:rgb(var(--bad)/.3)}.worse .dot{background:rgb(var(--bad))}.worse .num b{color:rgb(var(--bad))}
.plain .span{background:rgb(128 130 122/.3)}.plain .dot{background:var(--faint)}
.scale .ends{display:flex;justify-content:space-between}
.legend{display:flex;flex-wrap:wrap;gap:4px 22px;font-size:13.5px;color:var(--soft);margin:14px 0 0}
.legend i{display:inline-block;margin-right:8px;vertical-align:-1px}
.legend .k-tick{width:2px;height:14px;background:var(--faint)}
.legend .k-line{width:0;height:14px;border-left:1px dashed var(--faint)}
/* A shadow at the side where a table goes on: two covers scroll with the table, two shadows stay. */
.scroll{overflow-x:auto;margin:0 -4px;padding:0 4px;background:linear-gradient(to right,var(--paper) 30%,transparent) 0 0,
linear-gradient(to left,var(--paper) 30%,transparent) 100% 0,linear-gradient(to right,rgb(128 130 122/.35),transparent) 0 0,
linear-gradient(to left,rgb(128 130 122/.35),transparent) 100% 0;background-size:40px 100%,40px 100%,14px 100%,14px 100%;
background-repeat:no-repeat;background-attachment:local,local,scroll,scroll}
table{border-collapse:collapse;font-size:14.5px;width:100%;overflow-wrap:break-word}
th{font-weight:400;color:var(--soft);text-align:right;font-size:13.5px;padding:6px 0 6px 18px;vertical-align:bottom;
word-break:keep-all}
td{padding:9px 0 9px 18px;text-align:right;border-top:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0;white-space:normal}
.scroll td:first-child{white-space:nowrap}
td small{color:var(--soft);font-size:13px}
tr.own td:first-child{font-weight:600;color:rgb(var(--own))}
.heat{width:auto;border-collapse:separate;border-spacing:2px}
.heat td,.heat th{border:0;padding:0;text-align:center}
.heat td{min-width:38px;height:36px;border-radius:5px;font-size:13.5px;background:rgb(128 130 122/.07)}
.heat.few td{min-width:84px;height:58px;font-size:16px}
.heat thead td{min-width:0!important;height:auto!important}
.heat td.none{color:var(--faint)}
.heat th[scope=row]{text-align:right;padding-right:12px;vertical-align:middle;color:var(--ink);max-width:150px;white-space:nowrap;
overflow:hidden;text-overflow:ellipsis}
.heat th[scope=col]{padding-bottom:8px;color:var(--ink)}
.heat th.long span{writing-mode:vertical-rl;display:inline-block;max-height:150px;overflow:hidden;text-overflow:ellipsis;
white-space:nowrap}
.axis{color:var(--soft);font-size:13.5px;margin:0 0 8px}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-size:12.5px;fill:var(--soft);font-family:inherit}
svg .grid{stroke:var(--line)}svg .ideal{stroke:var(--faint);stroke-dasharray:3 4}
svg .whisker{stroke:rgb(var(--own)/.4);stroke-width:3;stroke-linecap:round}
svg .point{fill:rgb(var(--own));stroke:var(--paper);stroke-width:2}
svg .cloud{fill:rgb(var(--own)/.45)}svg .bar{fill:rgb(var(--own)/.25)}
svg .other .whisker{stroke:rgb(128 130 122/.4)}svg .other .point{fill:var(--faint)}
svg .strong{fill:rgb(var(--own));font-weight:600}svg .name{paint-order:stroke;stroke:var(--paper);stroke-width:3.5px}
svg .axis-name{fill:var(--ink)}
svg polyline{fill:none;stroke-linejoin:round;stroke-linecap:round}
svg .curve{stroke:rgb(var(--own));stroke-width:2.5}svg .band{fill:rgb(var(--own)/.16)}
svg .thin{stroke:rgb(128 130 122/.45);stroke-width:1}svg .weak{stroke:rgb(var(--bad)/.75);stroke-width:1.3}
svg text.weak{fill:rgb(var(--bad));stroke-width:3.5px;stroke:var(--paper)}
svg .other-line{stroke:var(--faint);stroke-width:2;stroke-dasharray:5 5}
svg .ring{fill:var(--paper);stroke:rgb(var(--own));stroke-width:2.5}
.panels{display:grid;gap:36px 40px;margin-bottom:28px}.panels.two{grid-template-columns:repeat(2,minmax(0,1fr))}
.panels.three{grid-template-columns:repeat(3,minmax(0,1fr));gap:28px}
figure{margin:0;min-width:0}figure h3{margin:0 0 6px}figcaption{font-size:14px;line-height:1.5;color:var(--soft);margin-top:10px}
figure .legend{margin:0 0 10px}
.k-own,.k-other{display:inline-block;width:22px;height:0;border-top:2.5px solid rgb(var(--own));margin-right:7px;
vertical-align:4px}.k-other{border-top:2px dashed var(--faint)}
td.wrap,.scroll td.wrap{white-space:normal;min-width:180px}td.wrap small{font-weight:400}
.badge{display:inline-block;margin-left:8px;padding:0 7px;border:1px solid currentColor;border-radius:99px;font-size:12px;
line-height:1.5;color:rgb(var(--bad));white-space:nowrap}
.gone{display:block;width:56px;height:4px;margin:3px 0 0 auto;border-radius:2px;background:rgb(128 130 122/.2)}
.gone i{display:block;height:4px;min-width:2px;border-radius:2px;background:rgb(var(--bad)/.75)}
img.pic{width:56px;height:56px;object-fit:contain;border-radius:4px}img.pic.small{image-rendering:pixelated}
td.spread{min-width:200px}td.spread svg{margin-left:auto}td.spread .bars{grid-template-columns:minmax(50px,130px) minmax(50px,1fr) auto;
gap:1px 8px;font-size:12.5px;line-height:1.4;text-align:left}td.spread .bars span{overflow:hidden;text-overflow:ellipsis}
.beside{display:flex;flex-wrap:wrap;gap:32px 56px;align-items:flex-start}
.beside>div{max-width:100%}.beside>div+div{flex:1 1 200px;max-width:420px}
.twice{display:grid;grid-template-columns:minmax(90px,1fr) 2fr 2fr;gap:0 32px;align-items:center;padding:8px 0;
border-top:1px solid var(--line)}
.twice.head{border-top:0;padding:0 0 4px;align-items:end}.twice .name{line-height:1.3}.twice .name b{font-weight:600}
.twice small{display:block;color:var(--soft);font-size:13.5px}
.half{display:grid;grid-template-columns:minmax(0,1fr) 104px;gap:0 10px;align-items:center}
.half .num{text-align:right;line-height:1.3}.half .num b{font-weight:600}.half small{font-size:12.5px;white-space:nowrap}
.half .tag{display:none;color:var(--soft);font-size:13.5px}.half .scale{display:flex;justify-content:space-between}
.pair{display:grid;grid-template-columns:minmax(0,400px) minmax(0,1fr);gap:32px 48px;align-items:start}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:16px}
.card{background:var(--sheet);border:1px solid var(--line);border-radius:12px;padding:16px 16px 14px;display:flex;
flex-direction:column;gap:12px;min-width:0}
.card blockquote{margin:0;font-size:15px;line-height:1.55;flex:1}
.card img{width:112px;height:112px;object-fit:contain;border-radius:6px;background:rgb(128 130 122/.08)}
.card img.small{image-rendering:pixelated}
.card dl{display:grid;grid-template-columns:auto 1fr;gap:1px 12px;margin:0;font-size:13.5px;flex:1;align-content:start}
.card dl dt{color:var(--soft)}.card dl dd{margin:0;text-align:right}
.card p{margin:0;font-size:14px;line-height:1.5;border-top:1px solid var(--line);padding-top:10px}
.card p span{color:var(--soft)}.card .wrong{color:rgb(var(--bad));font-weight:600}.card .right{font-weight:600}
.numbered{display:flex;flex-direction:column;gap:4px}.numbered>small{color:var(--soft);font-size:13px}.numbered .card{flex:1}
.card>small{color:var(--soft);font-size:13px}mark{color:inherit;border-radius:3px;padding:1px 0}h4{font-size:14px;font-weight:600;margin:0 0 8px}
.lists{display:grid;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:28px 36px;margin-top:14px}
.lists .bars{gap:3px 10px;font-size:13.5px}
.tiles{display:flex;flex-wrap:wrap;gap:6px;align-items:center;margin:10px 0}.tiles small{width:100%;color:var(--soft);font-size:13px}
.tiles img{width:46px;height:46px;object-fit:contain;border-radius:4px;background:rgb(128 130 122/.1);image-rendering:pixelated}
.heatpair{display:flex;gap:8px}.over{position:relative;display:block;width:50%;max-width:112px;line-height:0}
.card .over img{width:100%;height:auto;aspect-ratio:auto}.over i{position:absolute}.over img.dim{opacity:.55;filter:grayscale(1)}
.values{display:grid;grid-template-columns:minmax(0,1.9fr) minmax(0,.9fr) minmax(50px,.9fr);gap:3px 8px;font-size:13px;align-items:center;
flex:1;align-content:start}.values dt{color:var(--soft)}.values dd{margin:0;text-align:right}
.both{position:relative;height:10px;background:linear-gradient(var(--faint),var(--faint)) 50% 0/1px 100% no-repeat}
.both i{position:absolute;top:1px;height:8px;border-radius:2px}.both .for{background:rgb(var(--own)/.6)}
.both .against{background:rgb(var(--bad)/.6)}
.checks{list-style:none;margin:0;padding:0}
.checks li{display:grid;grid-template-columns:26px 1fr;padding:10px 0;border-top:1px solid var(--line);font-size:15px}
.checks li:first-child{border-top:0}.checks b{font-weight:600}
.checks .yes::before{content:"✓";color:var(--good);font-weight:700}
.checks .no::before{content:"✗";color:rgb(var(--bad));font-weight:700}
.lead{font-size:17px;line-height:1.5;margin:0 0 20px}
.share{display:flex;height:12px;border-radius:6px;overflow:hidden;gap:2px;margin:0 0 10px}
.share i{background:rgb(var(--own))}.share i:nth-child(2){opacity:.55}.share i:nth-child(3){opacity:.28}
.share.three i:nth-child(2){opacity:1;background:rgb(128 130 122/.25)}.share.three i:nth-child(3){opacity:1;
background:rgb(var(--bad))}.pairrow{border-top:1px solid var(--line);padding:4px 0}.pairrow .row{border-top:0;padding:3px 0}
.row.below .name{margin-top:-6px}
.bars{display:grid;grid-template-columns:minmax(60px,auto) 1fr auto;gap:6px 16px;align-items:center;font-size:14.5px}
.bars i{display:block;height:8px;border-radius:4px;background:rgb(var(--own)/.45);min-width:2px}
.bars span:nth-child(3n){text-align:right;color:var(--soft)}
.chips{display:flex;flex-wrap:wrap;gap:6px;margin:0;padding:0;list-style:none;font-size:13.5px}
.chips li{border:1px solid var(--line);border-radius:6px;padding:2px 9px;background:var(--sheet)}
.chips span{color:var(--soft);margin-left:6px}
.notes{margin:0;padding-left:18px;font-size:15px}.notes li{margin:4px 0}
.ids{display:grid;grid-template-columns:max-content 1fr;gap:6px 24px;margin:0;font-size:14px}
.ids dt{color:var(--soft)}.ids dd{margin:0}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Noto Sans Mono CJK SC",monospace;font-size:13px}
details{margin-top:16px;border-top:1px solid var(--line);padding-top:12px}
summary{cursor:pointer;font-size:14.5px;color:var(--soft)}summary:hover{color:var(--ink)}
details[open] summary{margin-bottom:12px}
pre{overflow-x:auto;margin:0;line-height:1.55}
footer{padding-top:28px;padding-bottom:64px;font-size:13.5px;color:var(--soft);border-top:1px solid var(--line)}
@media screen and (max-width:860px){main,header,footer{padding-left:20px;padding-right:20px}header{padding-top:24px}
h1{margin-top:36px}.hero{grid-template-columns:1fr;margin:36px 0;gap:28px}section{grid-template-columns:minmax(0,1fr);
padding:44px 0;gap:20px}.facts{grid-template-columns:1fr 1fr}.facts div{border-top:1px solid var(--line);
padding:14px 0 12px;border-left:0}.facts div:nth-child(even){padding-left:16px;border-left:1px solid var(--line)}
.facts div:nth-child(-n+2){border-top:0}.facts div:last-child:nth-child(odd){grid-column:1/-1}
.pair,.panels.two,.panels.three{grid-template-columns:minmax(0,1fr)}.line{top:0;bottom:0}.row{grid-template-columns:minmax(0,1fr) fit-content(46%);gap:0 16px;padding:12px 0}
.row .track{grid-column:1/-1;grid-row:2}.scale{grid-template-columns:1fr}.scale>:empty{display:none}
.twice{grid-template-columns:1fr;gap:4px;padding:14px 0}.twice.head{display:none}.half{grid-template-columns:76px
minmax(0,1fr) 104px}.half .tag{display:block}.ids{grid-template-columns:1fr;gap:0}.ids dd{margin-bottom:8px}.about{font-size:17px}}
@media screen and (max-width:480px){.heat{border-spacing:1px}.heat:not(.few) td{min-width:24px;height:26px;font-size:12px}}
@media print{:root{--paper:#fff;--sheet:#fff;--ink:#000;--soft:#444;--faint:#777;--line:#ccc;--own:15 118 110;--bad:178 66 42;
--good:#0f766e;--wait:#946200;color-scheme:light}
/* A sheet is about 720 px wide: the page as on a screen, three quarters as large. */
body{-webkit-print-color-adjust:exact;print-color-adjust:exact;zoom:.75}main,header,footer{max-width:none;padding-left:0;padding-right:0}
header{padding-top:0}h1{margin-top:20px}.hero{margin:24px 0}section{padding:28px 0}
.row,figure,.card,tr,.twice,li,.lists>div{break-inside:avoid}h2,h3{break-after:avoid}details:not([open]){display:none}
.scroll{overflow:visible;background:none}.scroll td,.scroll td:first-child{white-space:normal}}
"""
