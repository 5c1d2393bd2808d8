/**
 * The style of an HTML report: one sheet for the screen, light and dark, and for paper. It names no
 * font, picture or sheet from elsewhere.
 *
 * @module
 */

/** Colours by name, for light and dark. Text on its ground has a contrast of 4.5 or more. */
const LIGHT = `
--ground:#f4f6f8;--sheet:#fff;--ink:#16202c;--soft:#52606d;--line:#dde3e9;--faint:#f7f9fb;
--brand:#0f2a43;--brand-ink:#fff;--brand-soft:#b9cbdc;--link:#0b5cad;
--open:#0e7c66;--closed:#8a97a5;--filtered:#c9822b;--maybe:#7c6bb0;--plain:#2f6fab;--track:#eef2f6;
--u:#8a5a00;--u-ground:#fff8e8;--u-line:#e9c46a;--sus:#a4161a;--sus-ground:#fdecec;
--ok:#0b6b50;--ok-ground:#e6f5f0;--bad:#a4161a;--bad-ground:#fdecec;--mid:#7a4b00;--mid-ground:#fff4dc;`;

const DARK = `
--ground:#0c1219;--sheet:#131c26;--ink:#e5ebf1;--soft:#9fb0c0;--line:#263442;--faint:#172330;
--brand:#0a1a2a;--brand-ink:#fff;--brand-soft:#8fa9c2;--link:#7db8f5;
--open:#2fb896;--closed:#6b7b8b;--filtered:#e0a04a;--maybe:#a596dc;--plain:#5c9fdc;--track:#1d2936;
--u:#f0c674;--u-ground:#262014;--u-line:#7a5f1f;--sus:#ff9a9a;--sus-ground:#3a1719;
--ok:#5fd3b0;--ok-ground:#10302a;--bad:#ff9a9a;--bad-ground:#3a1719;--mid:#f0c674;--mid-ground:#33270f;`;

const BASE = `
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans","Liberation Sans",sans-serif}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
a:focus-visible{outline:2px solid var(--link);outline-offset:2px}
code,pre,.mono,bdi.u{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;font-size:.87em}
header.top{background:var(--brand);color:var(--brand-ink);border-bottom:4px solid var(--open)}
header.top .in{max-width:1240px;margin:0 auto;padding:30px 32px 26px}
.kicker{font-size:12px;letter-spacing:.13em;text-transform:uppercase;color:var(--brand-soft);display:flex;justify-content:space-between;gap:24px}
header.top h1{margin:10px 0 4px;font-size:30px;line-height:1.2;font-weight:650;overflow-wrap:anywhere}
header.top .sub{margin:0;color:var(--brand-soft);font-size:15px;overflow-wrap:anywhere}
.badge{display:inline-block;padding:1px 10px;border-radius:99px;font-size:12.5px;font-weight:600;line-height:1.65;white-space:nowrap}
.badge.ok{color:var(--ok);background:var(--ok-ground)}.badge.mid{color:var(--mid);background:var(--mid-ground)}.badge.bad{color:var(--bad);background:var(--bad-ground)}
.badge.plain{color:var(--soft);background:var(--track)}
.layout{max-width:1240px;margin:0 auto;padding:26px 32px 60px;display:grid;grid-template-columns:196px minmax(0,1fr);gap:34px}
nav.toc{position:sticky;top:24px;align-self:start;font-size:14px}
nav.toc h2{margin:0 0 8px;font-size:12px;letter-spacing:.11em;text-transform:uppercase;color:var(--soft);font-weight:600}
nav.toc ol{list-style:none;margin:0;padding:0;border-left:2px solid var(--line)}
nav.toc a{display:block;padding:4px 0 4px 14px;margin-left:-2px;border-left:2px solid transparent;color:var(--ink)}
nav.toc a:hover{border-left-color:var(--link);color:var(--link);text-decoration:none}
main{min-width:0}
section.part{background:var(--sheet);border:1px solid var(--line);border-radius:10px;padding:24px 28px 26px;margin:0 0 22px}
section.part>h2{margin:0 0 16px;font-size:20px;font-weight:650;letter-spacing:-.005em}
h3{margin:26px 0 8px;font-size:16px;font-weight:650}
p{margin:0 0 10px}
.lead{font-size:16.5px;margin:0 0 18px}
.soft{color:var(--soft)}.small{font-size:13.5px}.mono.small{font-size:12px;font-weight:400}
.figures{display:grid;grid-auto-flow:column;grid-auto-columns:minmax(min-content,1fr);gap:1px;background:var(--line);border:1px solid var(--line);border-radius:8px;overflow:hidden;margin:0}
.figures div{background:var(--sheet);padding:13px 14px 12px;display:flex;flex-direction:column;justify-content:space-between;gap:2px}
.figures dt{font-size:12.5px;color:var(--soft);margin:0}
.figures dd{margin:0;font-size:22px;font-weight:650;line-height:1.3;letter-spacing:-.01em;white-space:nowrap;font-variant-numeric:tabular-nums}
.figures .good dd{color:var(--open)}.figures .bad dd{color:var(--bad)}
.box{border-left:4px solid var(--mid);background:var(--mid-ground);padding:11px 16px;border-radius:0 6px 6px 0;margin:16px 0 0}
.box.bad{border-color:var(--bad);background:var(--bad-ground)}
.box p{margin:0}.box p+p{margin-top:6px}
.charts{columns:2;column-gap:44px}.charts.lone{columns:1;margin:22px 0 0}
.chart{margin:0 0 26px;break-inside:avoid}.chart:last-child{margin-bottom:0}.chart figcaption{font-weight:600;font-size:14px;margin:0 0 10px}
.chart svg{width:100%;max-width:430px;height:auto;display:block}
.c-label{fill:var(--soft);font-size:13px}.c-value{fill:var(--ink);font-size:13px;font-weight:600}
.c-track{fill:var(--track)}.c-bar{fill:var(--plain)}
.t-open{fill:var(--open)}.t-closed{fill:var(--closed)}.t-filtered{fill:var(--filtered)}.t-maybe{fill:var(--maybe)}.t-plain{fill:var(--plain)}
.t-came{fill:var(--open)}.t-went{fill:var(--bad)}.t-other{fill:var(--filtered)}
.scroll{overflow-x:auto;margin:0 -4px;padding:0 4px}
table{border-collapse:collapse;width:100%;font-size:14px}
.quiet caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.quiet table{table-layout:fixed}.quiet th:nth-child(1){width:96px}.quiet th:nth-child(2){width:108px}.quiet th:nth-child(3){width:132px}.quiet th:nth-child(5){width:190px}
caption{text-align:left;color:var(--soft);font-size:13.5px;padding:0 0 8px}
th,td{text-align:left;vertical-align:top;padding:7px 12px 7px 0;border-bottom:1px solid var(--line);overflow-wrap:break-word}
th{font-size:12.5px;font-weight:600;color:var(--soft);border-bottom:2px solid var(--line);white-space:nowrap;overflow-wrap:normal}
tbody th{font-size:14px;color:var(--ink);border-bottom:1px solid var(--line);white-space:normal;font-weight:600;overflow-wrap:anywhere;min-width:126px}
td.n,th.n{text-align:right;padding-right:26px;font-variant-numeric:tabular-nums;white-space:nowrap;overflow-wrap:normal}
th .small{white-space:nowrap}td.wide{min-width:190px}td:has(bdi.u),th:has(bdi.u){min-width:150px}
td.k{white-space:nowrap;overflow-wrap:normal}
tbody tr:last-child>*{border-bottom:0}
.state{display:inline-block;min-width:9px;height:9px;border-radius:50%;margin-right:7px;background:var(--plain)}
.state.open{background:var(--open)}.state.closed{background:var(--closed)}.state.filtered{background:var(--filtered)}.state.maybe{background:var(--maybe)}
.mark{display:inline-block;width:20px;height:20px;line-height:20px;border-radius:4px;text-align:center;font-weight:700;font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:14px}
.mark.came{color:var(--ok);background:var(--ok-ground)}.mark.went{color:var(--bad);background:var(--bad-ground)}.mark.other{color:var(--mid);background:var(--mid-ground)}
.arrow{color:var(--soft);padding:0 4px}
article.host{border-top:1px solid var(--line);padding:18px 0 12px}
article.host:first-of-type{border-top:0;padding-top:0}
article.host h3 .mono{font-size:1em}article.host h3 bdi{font-weight:400}
article.host h3{margin:0 0 2px;font-size:16.5px;display:flex;flex-wrap:wrap;gap:4px 12px;align-items:baseline}
article.host .facts{margin:0 0 8px;color:var(--soft);font-size:13.5px}
article.host:last-child{padding-bottom:0}
bdi.u,pre.u{background:var(--u-ground);color:var(--u);border-radius:3px;unicode-bidi:isolate}
bdi.u{font-weight:400;padding:1px 6px;border-left:3px solid var(--u-line);-webkit-box-decoration-break:clone;box-decoration-break:clone;overflow-wrap:anywhere}
pre.u{margin:0;padding:8px 12px;border-left:3px solid var(--u-line);white-space:pre-wrap;overflow-wrap:anywhere;max-height:340px;overflow:auto;line-height:1.45}
bdi.sus,pre.sus{background:var(--sus-ground);color:var(--sus);border-left-color:var(--sus)}
.warn{display:inline-block;background:var(--sus);color:var(--sheet);font-size:11px;font-weight:700;border-radius:3px;padding:0 6px;line-height:1.6;vertical-align:1px}
.said{margin:8px 0 4px}.said-label{font-size:12.5px;color:var(--soft);margin:0 0 3px}
.said-row>td{padding-top:0}
tr.has-said>td,tr.has-said>th{border-bottom:0}
pre.cmd{margin:0 0 10px;padding:12px 14px;background:var(--faint);border:1px solid var(--line);border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.5}
dl.meta{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:6px 22px;margin:0 0 16px}
dl.meta dt{color:var(--soft)}dl.meta dd{margin:0;overflow-wrap:anywhere}
ul.notes{margin:0;padding-left:20px}ul.notes li{margin:0 0 6px}
footer.end{padding:4px 0 0;color:var(--soft);font-size:13px}
.skip{position:absolute;left:-9999px}.skip:focus{left:12px;top:12px;background:var(--sheet);padding:6px 12px;z-index:9}
@media screen and (max-width:960px){.layout{grid-template-columns:minmax(0,1fr);gap:18px;padding:18px 16px 40px}nav.toc{position:static}nav.toc ol{border-left:0;display:flex;flex-wrap:wrap;gap:4px 18px}nav.toc a{padding:2px 0;margin:0;border:0}header.top .in{padding:22px 16px 20px}section.part{padding:18px 16px 20px}.charts{columns:1}.figures{grid-auto-flow:row;grid-template-columns:1fr 1fr}.figures div:last-child:nth-child(odd){grid-column:1/-1}}`;

const PRINT = `
@page{size:A4;margin:17mm 15mm 18mm;@bottom-left{content:"Security scan report";font:8.5pt system-ui,sans-serif;color:#52606d}@bottom-right{content:"Page " counter(page) " of " counter(pages);font:8.5pt system-ui,sans-serif;color:#52606d}}
@media print{
:root{color-scheme:light;${LIGHT}}
html{scroll-behavior:auto}
body{background:#fff;font-size:9.8pt;line-height:1.45;-webkit-print-color-adjust:exact;print-color-adjust:exact}
header.top{border-radius:6px}header.top .in{padding:18px 20px 16px;max-width:none}header.top h1{font-size:19pt}
.layout{display:block;padding:14px 0 0;max-width:none}
nav.toc{position:static;margin:0 0 14px;break-inside:avoid}nav.toc ol{border:0;columns:3;column-gap:20px}nav.toc a{padding:1px 0;margin:0;border:0}
section.part{border:0;border-radius:0;padding:0;margin:0 0 20px}
section.part>h2{font-size:14pt;margin:0 0 10px;padding:0 0 5px;border-bottom:1.5px solid var(--brand)}
h2,h3,caption,.said-label,article.host .facts{break-after:avoid}
table{font-size:9pt}thead{display:table-header-group}tr,figure,.box,.figures,article.host{break-inside:avoid}
th,td{padding:4px 9px 4px 0}tbody th{min-width:98px}
.charts{columns:2;column-gap:30px}
.figures dd{font-size:12.5pt}.small{font-size:8.5pt}.mono.small{font-size:7.5pt}.figures div{padding:8px 10px}.figures dt{font-size:8pt}.kicker{font-size:7.5pt;letter-spacing:.08em}
.quiet th:nth-child(1){width:70px}.quiet th:nth-child(2){width:76px}.quiet th:nth-child(3){width:88px}.quiet th:nth-child(5){width:136px}
pre.u{max-height:none;overflow:visible}
section.part:last-child{margin:0 0 8px}.scroll{overflow:visible}
a{color:inherit}
footer.end{break-before:avoid;padding:8px 0 0;max-width:none;border-top:1px solid var(--line)}
.skip{display:none}
}`;

/** The whole sheet. Nothing of a report gets into it. */
export const STYLE: string =
  `:root{color-scheme:light dark;${LIGHT}}@media (prefers-color-scheme:dark){:root{${DARK}}}${BASE}${PRINT}`;
