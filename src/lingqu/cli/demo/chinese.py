"""The Chinese of the demo; a name in braces stands for a value."""

_LIES = "{sybils} 个出自同一人之手的账号 {votes} 次说 {target} 是 {lie}：{quarantined} 条被隔离"

CHINESE: dict[str, str] = {
    # The acts
    "A model is learned": "学成一个模型",
    "It is served": "开始服务",
    "All is quiet": "风平浪静",
    "The camera slips": "相机歪了",
    "Drift is seen": "发现漂移",
    "Labels come": "标签到来",
    "A challenger is proved": "挑战者得到证明",
    "It answers unseen": "它在暗中作答",
    "A few users get it": "少数用户先用",
    "It is promoted": "晋升",
    "Answers are right again": "回答又对了",
    "Poison is contained": "投毒被遏制",
    "The gate is overruled": "有人推翻关口",
    "It is rolled back": "自动回滚",
    "A person has looked": "有人看过了",
    # While they are played
    "learning": "正在学习",
    "starting the service": "正在启动服务",
    "people ask": "人们在提问",
    "watching": "正在监视",
    "listening": "正在倾听",
    "learning anew": "正在重新学习",
    "comparing unseen": "正在暗中比较",
    "a few users first": "先给少数用户",
    "changing over": "正在切换",
    "under attack": "正遭到攻击",
    "overruling the gate": "有人推翻关口",
    # What came of them
    "{model}, from {rows} pictures; of {test} that it has not seen {right} are right ({low} to {high})": (
        "{model}，学自 {rows} 张图片；在没见过的 {test} 张上答对 {right}（{low} 至 {high}）"
    ),
    "{model} answers on {url}": "{model} 在 {url} 作答",
    "{answers} answers, {right} right; two windows were looked at, {alarms} alarms": (
        "{answers} 个回答，{right} 正确；看过两个窗口，{alarms} 次警报"
    ),
    "by {angle}°; nobody tells lingqu": "歪了 {angle}°；没有人告诉 lingqu",
    "{signals} moved in two windows of {window} answers; {right} are right now": (
        "{signals} 在两个各 {window} 个回答的窗口中变了；现在只有 {right} 正确"
    ),
    "{told} by users over HTTP, {mistaken} of them mistaken; {audit} by a reviewer, of answers drawn at random": (
        "用户经 HTTP 送来 {told} 个，其中 {mistaken} 个是错的；审核人为随机抽取的回答标了 {audit} 个"
    ),
    "{model} learned anew with {joined} labels and proved in {seconds} s: {metric} {new} against {old} on {rows} audit "
    "rows, p = {p}; no worse on old ones": (
        "{model} 用 {joined} 个标签从头学成并得到证明，共 {seconds} 秒：在 {rows} 行审计数据上 {metric} 为 {new}，现任为 {old}，"
        "p = {p}；在旧数据上不更差"
    ),
    "{model} answered unseen beside the champion: it won {wins} and lost {losses} of the audit labels on which one of them is "
    "right": "{model} 与现任同时暗中作答：在只有一方正确的审计标签上，它赢 {wins} 个，输 {losses} 个",
    "{model} answered {share} of users, and its guardrails held": "{model} 为 {share} 的用户作答，各项护栏都守住了",
    "{model} answers; of {all} requests so far {failed} have failed": (
        "由 {model} 作答；至今 {all} 次请求中 {failed} 次失败"
    ),
    "{right} of {answers} pictures that no model has learned from are right ({low} to {high})": (
        "{answers} 张从未用于学习的图片，答对 {right}（{low} 至 {high}）"
    ),
    "{sybils} accounts of one hand say {votes} times that {target} is {lie}: {quarantined} are quarantined, {left} left out "
    "by caps, none learned; nothing is promoted": f"{_LIES}，{{left}} 条因上限被略去，一条也没有学进去；没有晋升",
    "{sybils} accounts of one hand say {votes} times that {target} is {lie}: {quarantined} are quarantined, {left} left out "
    "by caps, {learned} learned by a challenger that the gate refuses": (
        f"{_LIES}，{{left}} 条因上限被略去，{{learned}} 条进入挑战者，但它没有通过关口"
    ),
    "{sybils} accounts of one hand say {votes} times that {target} is {lie}: {quarantined} are quarantined, {left} left out "
    "by caps, {learned} learned by a challenger that is promoted": (
        f"{_LIES}，{{left}} 条因上限被略去，{{learned}} 条进入挑战者，而它被晋升了"
    ),
    "somebody promotes {model} ({recipe}, learned without the labels), which had not passed": (
        "有人晋升了没有通过关口的 {model}（{recipe}，没有学过那些标签）"
    ),
    "after {seconds} s and {answers} answers ({right} right): {wrong} of {labels} audit labels say that it errs, so "
    "{model} is back by itself": (
        "{seconds} 秒、{answers} 个回答（{right} 正确）之后：{labels} 个审计标签中 {wrong} 个说它错了，于是 {model} 自动复位"
    ),
    "after a rollback all automation waits; `lingqu thaw {model}` lets it go on": (
        "回滚之后一切自动化都停下；`lingqu thaw {model}` 让它继续"
    ),
    # The table and what stands around it
    "The story of": "故事：",
    "learn → serve → watch → listen → improve → prove → promote → roll back": (
        "学习 → 服务 → 监视 → 倾听 → 改进 → 证明 → 晋升 → 回滚"
    ),
    "s": "秒",
    "what happened": "发生了什么",
    "answers by": "由谁作答",
    "answers": "回答",
    "right": "正确",
    "95 % interval": "95 % 区间",
    "{sent} requests, {failed} failed; {seconds} s.": "{sent} 次请求，{failed} 次失败；{seconds} 秒。",
    "The story, drawn:": "故事的图：",
    "The first model's report:": "第一个模型的报告：",
    "every decision as a sentence": "每个决定一句话",
    "serve it and go on improving, until Ctrl-C": "提供服务并继续改进，直到按 Ctrl-C",
    "Played on {day}; `lingqu demo --again` plays it anew.": "演于 {day}；`lingqu demo --again` 重新上演。",
    "Stopped: nothing of the demo runs on, and `lingqu demo` plays it from the beginning.": (
        "已停止：演示没有留下任何进程；`lingqu demo` 从头上演。"
    ),
    # The page
    "The story of {name}": "{name} 的故事",
    "of {sent} requests failed": "次失败，共 {sent} 次请求",
    "People send pictures of digits. Half-way their camera is knocked askew. The model is watched, learns from what they "
    "say, and proves itself before it is changed; liars and a wrong decision do no lasting harm.": (
        "人们送来数字的图片，中途相机被碰歪。模型受到监视，从人们的话里学习，先证明自己再替换；说谎的人和一个错误的决定都没有造成长久的伤害。"
    ),
    "right at first": "起初正确",
    "right once the camera is askew": "相机歪了以后正确",
    "right after learning anew": "重新学习以后正确",
    "right while the gate was overruled": "关口被推翻期间正确",
    "the whole story": "整个故事",
    "Accuracy over time": "准确率随时间的变化",
    "The share of answers that were right, of 60 in a row for each point, with the 95 % band. The numbers are the acts below. "
    "Only the world knows all truths; lingqu knows what people and the audit told it.": (
        "答对的比例，每个点是连续的 60 个回答，带 95 % 区间。数字对应下面的各幕。只有这个小世界知道全部真相；lingqu 只知道人们和审计告诉它的。"
    ),
    "seconds": "秒",
    "second": "第几秒",
    "Accuracy over {seconds} seconds, from {first} to {last} at the end": "{seconds} 秒内的准确率，从 {first} 到最后的 {last}",
    "The acts": "各幕",
    "Each act, and how the answers were from then until the next.": "每一幕，以及从那时到下一幕的回答如何。",
    "Everything here was measured while it happened, on the machine that made this page: real requests over HTTP to a real "
    "service, from simulated people. Intervals are exact (Clopper–Pearson) and hold the true share 95 times in 100.": (
        "这里的一切都是在发生时、在生成本页的机器上测得的：模拟的人经 HTTP 向真实的服务发出真实的请求。区间是精确的（Clopper–Pearson），"
        "100 次中有 95 次包含真实比例。"
    ),
}
