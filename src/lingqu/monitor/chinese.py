"""The Chinese of `lingqu status`: what the terminal says (OURS), and sentences that a status tells in English (RECORDED).

A status, its JSON and its alarms are told in English; a Chinese reader's terminal recognises each sentence by its template.

>>> say = spoken("zh")
>>> told(say, "One signal moved in 2 windows in a row: age moved: KS distance 0.23, adjusted p < 0.0001 (Kolmogorov-Smirnov).")
'连续 2 个窗口有变动的信号有一个：age 有变动：KS 距离 0.23，校正后 p < 0.0001（Kolmogorov-Smirnov 检验）。'
"""

from __future__ import annotations

import re

from lingqu.evaluate.translation import Words
from lingqu.statistics.estimated import ASSUMES

OURS: dict[str, str] = {
    "alarm": "告警",
    "quiet": "正常",
    "warn": "警告",
    "act": "须处理",
    "drift": "漂移",
    "risk": "风险",
    "latency": "延迟",
    "refusals": "拒答",
    "retrain": "重新训练",
    "blocked": "受阻",
    "frozen: {why}": "已冻结：{why}",
    "its guardrails hold": "护栏正常",
    "window": "窗口",
    "from": "开始",
    "answers": "回答",
    "moved or broken": "变动或超限",
    "accuracy": "准确率",
    "how it is known": "依据",
    "nothing yet": "尚无",
    "Newest: {cohort}": "最新：{cohort}",
    "Next: ": "下一步：",
    "no model is champion yet": "还没有现任冠军",
    "One signal": "一个",
    "refused": "拒答率",
    "confidence": "置信度",
    "answer": "回答",
    "width of the range": "区间宽度",
    "Audit labels": "审计标签",
    "the audit asks for none": "审计不索取标签",
    ASSUMES: "假定同样的数据仍配同样的标签，且置信度的含义与在留出数据上相同",
    "Too few answers of the same weekdays are kept, so the last window was compared with held-out rows.": "保存的同星期回答太少，因此最后一个窗口与留出数据比较。",
    "No input can be read, so only answers are watched: serve.journal.inputs, or the key of the journal.": "读不到任何输入，因此只监控回答：见 serve.journal.inputs，或日志的密钥。",
    "This store may not be written by you: what was seen is not remembered, and alarms are told here alone.": "您无权写入此存储：本次所见不会保存，告警只在此处告知。",
    "The audit asks for no labels (monitor.audit is 0), so nothing proves how good answers are.": "审计不索取标签（monitor.audit 为 0），因此无从证明回答的好坏。",
}

_TESTS = {
    ("KS distance", "Kolmogorov-Smirnov"): ("KS 距离", "Kolmogorov-Smirnov 检验"),
    ("Cramér's V", "chi-square"): ("Cramér V", "卡方检验"),
    ("rise", "exact rate"): ("升幅", "精确比率检验"),
    ("AUC", "domain classifier"): ("AUC", "域分类器"),
}

RECORDED: dict[str, str] = {
    # The head
    "{model}: {answers} answers, too few to judge: a window needs {size}.": "{model}：{answers} 次回答，不足以判断：一个窗口需要 {size} 次。",
    "{model}: {answers} answers in {count} window, no alarm.": "{model}：{answers} 次回答，{count} 个窗口，无告警。",
    "{model}: {answers} answers in {count} windows, no alarm.": "{model}：{answers} 次回答，{count} 个窗口，无告警。",
    "{model}: {answers} answers, {count} alarm ({names}).": "{model}：{answers} 次回答，{count} 项告警（{names}）。",
    "{model}: {answers} answers, {count} alarms ({names}).": "{model}：{answers} 次回答，{count} 项告警（{names}）。",
    # Drift
    "{many} moved in {count} windows in a row: {rest}": "连续 {count} 个窗口有变动的信号有{many}：{rest}",
    **{
        f"{{signal}} moved: {name} {{effect}}, adjusted p {{p}} ({test}).": f"{{signal}} 有变动：{said} {{effect}}，校正后 p {{p}}（{how}）。"
        for (name, test), (said, how) in _TESTS.items()
    },
    "And {count} more.": "另有 {count} 个。",
    "It may not matter: {wanted} would show whether answers got 5 points worse.": "这未必要紧：{wanted}即可看出回答是否变差了 5 个百分点。",
    # Budgets
    "Two windows in a row: {rest}": "连续两个窗口：{rest}",
    "{share} of {rows} answers were refusals, where {allowed} may be ({p}).": "{rows} 次回答中 {share} 被拒答，上限为 {allowed}（{p}）。",
    "{share} of {rows} answers took longer than {limit} ms, where {allowed} may ({p}); 95 of 100 took at most {p95} ms.": "{rows} 次回答中 {share} 超过 {limit} 毫秒，上限为 {allowed}（{p}）；100 次中有 95 次不超过 {p95} 毫秒。",
    # Risk
    "No audit label has come yet; the champion may be wrong in at most {limit} of all answers.": "尚无审计标签；现任冠军的错误率至多可为 {limit}。",
    "{labels} of {least} audit labels that any decision needs have come; {wrong} say the champion was wrong.": "任何决定都需要 {least} 个审计标签，已有 {labels} 个，其中 {wrong} 个说现任冠军错了。",
    "The champion keeps its limit as far as is known: {rest}": "就目前所知，现任冠军没有超限：{rest}",
    "The champion errs more than it may: {rest}": "现任冠军出错超过限度：{rest}",
    "The champion may err more than it may: {rest}": "现任冠军出错可能超过限度：{rest}",
    "{wrong} of {labels} audit labels say it was wrong, where at most {limit} may be (E = {evalue}, warn at 20).": "{labels} 个审计标签中有 {wrong} 个说它错了，上限为 {limit}（E = {evalue}，达到 20 警告）。",
    "{wrong} of {labels} audit labels say it was wrong, where at most {limit} may be (E reached {evalue}, {level} at {bound}).": "{labels} 个审计标签中有 {wrong} 个说它错了，上限为 {limit}（E 达到 {evalue}，{bound} 即为{level}）。",
    # Quality
    "{rows} answers, {labels} of {asked} audit labels: {share}.": "{rows} 次回答，{asked} 个审计标签已有 {labels} 个：{share}。",
    "{rows} answers, {waiting}: nothing is known of their quality yet.": "{rows} 次回答，{waiting}：质量尚无从得知。",
    "{rows} answers, {labels} of {asked} audit labels have come.": "{rows} 次回答，{asked} 个审计标签已有 {labels} 个。",
    "{rows} answers, the audit asks for none.": "{rows} 次回答，审计不索取标签。",
    "{labels} of {asked} audit labels have come": "{asked} 个审计标签已有 {labels} 个",
    "{right} of {labels} right: {value} ({low} to {high}), too few to decide by ({least} are needed)": "{labels} 个中 {right} 个正确：{value}（{low} 至 {high}），不足以作决定（需要 {least} 个）",
    "{right} of {labels} right: {value} ({low} to {high})": "{labels} 个中 {right} 个正确：{value}（{low} 至 {high}）",
    "Estimated accuracy {value} ({low} to {high}) of {rows} rows without labels: {assumes}.": "估计准确率 {value}（{low} 至 {high}），依据 {rows} 行没有标签的数据：{assumes}。",
    "estimate; {came} of {asked} labels": "估计；{asked} 个标签已有 {came} 个",
    # After a rollback
    "The world has moved, not the model: version {version} was restored and errs as well.": "变的是外界而不是模型：恢复的版本 {version} 同样出错。",
    "Of {labels} audit labels since, version {restored} was wrong on {wrong} and version {demoted} would have been wrong on {other}.": "此后的 {labels} 个审计标签中，版本 {restored} 错了 {wrong} 个，版本 {demoted} 会错 {other} 个。",
    "Learn anew: lingqu thaw {name}, then lingqu improve": "请重新训练：先 lingqu thaw {name}，再 lingqu improve",
    # The gate
    "The last {count} rounds all kept the champion for the same check: {check}.": "最近 {count} 轮都因同一项检查而保留现任冠军：{check}。",
    "The last {count} rounds all kept the champion for the same checks: {check}.": "最近 {count} 轮都因同样的检查而保留现任冠军：{check}。",
    "Label more rows of it (lingqu feedback queue), or change what gates ask of it; see: lingqu history {name}": "请为这部分标注更多行（lingqu feedback queue），或修改 gates 对它的要求；见：lingqu history {name}",
    "Label more rows (lingqu feedback queue), or change what gates ask; see: lingqu history {name}": "请标注更多行（lingqu feedback queue），或修改 gates 的要求；见：lingqu history {name}",
    # A challenger on its way
    "{model} was rolled back and answers unseen beside {champion} since {since}: {labels} labels.": "{model} 已被回滚，自 {since} 起与 {champion} 并行作答、对用户不可见：{labels} 个标签。",
    "{model} has proved itself and waits since {since} for lingqu promote {name}; {state}.": "{model} 已证明自己，自 {since} 起等待 lingqu promote {name}；{state}。",
    "{model} answers {share} % of the users since {since}: {answers} of {wanted} answers; {state}.": "{model} 自 {since} 起回答 {share} % 的用户：所需 {wanted} 次回答已有 {answers} 次；{state}。",
    "a guardrail is broken: {broken}": "护栏被突破：{broken}",
    "{count} of {all} complaints are about it, where {share} % should be": "{all} 次投诉中 {count} 次针对它，应占 {share} %",
    "{count} of {all} refusals are about it, where {share} % should be": "{all} 次拒答中 {count} 次出自它，应占 {share} %",
    "{count} of {all} of its answers took longer than {limit} ms": "它的 {all} 次回答中 {count} 次超过 {limit} 毫秒",
    "{model} answers unseen beside {champion} since {since}: {labels} labels, and of {rows} rows on which exactly one is right it won {wins} (E = {evalue} of {wanted}).": "{model} 自 {since} 起与 {champion} 并行作答、对用户不可见：{labels} 个标签；恰有一方正确的 {rows} 行中它赢了 {wins} 行（E = {evalue}，需要 {wanted}）。",
    "About {labels} labels in all prove it, if it goes on so.": "照此下去，总共约 {labels} 个标签即可证明。",
    # Notes
    "Drift cannot be judged: there are {rows} held-out rows to compare with, and {least} are needed.": "无法判断漂移：可供比较的留出数据有 {rows} 行，需要 {least} 行。",
    "Column '{name}' is not watched, and nothing is learned from feedback on it, for the journal leaves it out: it keeps pictures under serve.journal.inputs: plain, up to {size} KiB each.": "列 '{name}' 不受监控，对它的反馈也学不到东西，因为日志不保存它：只有在 serve.journal.inputs: plain 下才保存图片，每张至多 {size} KiB。",
    "A window has {inputs} inputs that were kept, and {least} are needed, so only answers are watched: see serve.journal.sample.": "一个窗口只保存了 {inputs} 个输入，而需要 {least} 个，因此只监控回答：见 serve.journal.sample。",
    "{waiting} answers wait for {more} more; drift is judged by whole windows of {size}.": "{waiting} 次回答还在等 {more} 次；漂移按每 {size} 次的完整窗口判断。",
    "The last window was compared with {rows} answers since version {version} began to prove itself, for held-out rows are older.": "最后一个窗口与版本 {version} 开始证明自己以来的 {rows} 次回答比较，因为留出数据更旧。",
    "{count} older answers were not looked at, for nobody had looked for long.": "很久没有人查看，有 {count} 次较早的回答没有看。",
    "Alarms are not sent: {error}": "告警没有发出：{error}",
    # Parts
    "{count} audit labels": "{count} 个审计标签",
    "{count} signals": " {count} 个",
    "{value} ({low} to {high})": "{value}（{low} 至 {high}）",
    "{column}: missing": "{column}（缺失）",
    "{column}: unseen": "{column}（没见过的名称）",
    "{column}: length": "{column}（长度）",
    "{column}: wording": "{column}（用词）",
    "{column}: brightness": "{column}（亮度）",
    "{column}: contrast": "{column}（对比度）",
    "{column}: pixels": "{column}（像素）",
    "{column}: look": "{column}（外观）",
}
_SENTENCE = re.compile(r"(?<=\.) ")


def spoken(language: str) -> Words:
    """The words of a status in one language."""
    return Words(language, OURS, RECORDED)


def told(say: Words, text: str) -> str:
    """A text of one or several sentences; one that no template knows stays as it is."""
    if say.language == "en":
        return text
    whole = say.told(text)
    # A first clause may hold the rest of a paragraph: each sentence is known by itself.
    parts = _SENTENCE.split(text)
    return "".join(map(say.told, parts)) if len(parts) > 1 else whole
