"""What the service says of its models, in English and in Chinese.

>>> in_language("zh")("The text to classify.")
'要分类的文本。'
>>> in_language("zh")("A sentence of somebody's own task.")
"A sentence of somebody's own task."
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

Say = Callable[..., str]

CHINESE = {
    # Tasks and their columns.
    "One label for one text: topic, sentiment, intent, spam.": "为一段文本给出一个标签：主题、情感、意图、垃圾信息。",
    "Any number of labels for one text: tags, topics, symptoms, complaints.": (
        "为一段文本给出任意多个标签：标记、主题、症状、投诉。"
    ),
    "One label for one picture: digits, products, defects, X-rays.": "为一张图片给出一个标签：数字、产品、缺陷、X 光片。",
    "One label for one row of a table: credit scoring, fraud, churn.": "为表格的一行给出一个标签：信用评分、欺诈、流失。",
    "One number for one row of a table: prices, demand, durations.": "为表格的一行给出一个数值：价格、需求、时长。",
    "The text to classify.": "要分类的文本。",
    "The text to label.": "要标注的文本。",
    "The picture to classify.": "要分类的图片。",
    # Columns.
    "A text of at most {most} characters.": "不超过 {most} 个字符的文本。",
    "A number.": "一个数值。",
    "Training rows held {low} to {high}; a number beyond {least} to {most} is refused.": (
        "训练数据在 {low} 到 {high} 之间；超出 {least} 到 {most} 的数值会被拒绝。"
    ),
    "A name, such as {names}; one that training never saw counts as unknown.": (
        "一个名称，例如 {names}；训练时没有见过的名称视为未知。"
    ),
    "A name.": "一个名称。",
    "A picture (JPEG, PNG, WebP or BMP), its bytes as base64; an address is never fetched.": (
        "图片（JPEG、PNG、WebP 或 BMP），以 base64 表示其字节；不会读取任何网址。"
    ),
    "A recording, its bytes as base64; an address is never fetched.": "录音，以 base64 表示其字节；不会读取任何网址。",
    "A date or a moment, ISO 8601.": "日期或时刻（ISO 8601）。",
    "It may be left out.": "可以省略。",
    # Answers.
    "The label.": "标签。",
    "The labels: none, one or several.": "标签：没有、一个或多个。",
    "The number.": "数值。",
    "The answer.": "回答。",
    "How sure the model is, 0 to 1.": "模型的把握程度，0 到 1。",
    "How sure the model is of the least sure of its decisions, 0 to 1.": "模型最没有把握的那个判断的把握程度，0 到 1。",
    "The probability of each label; only when scores are asked for.": "每个标签的概率；仅在请求 scores 时给出。",
    "The lower end of the range that holds the truth nine times in ten.": "真实值十次中有九次落入的区间的下限。",
    "The upper end of the range that holds the truth nine times in ten.": "真实值十次中有九次落入的区间的上限。",
    "The id of this answer; feedback names it.": "这个回答的编号；反馈时要用到它。",
    "Why this row has no answer.": "为什么这一行没有回答。",
    "The name of the model.": "模型的名称。",
    "The version that answered.": "给出回答的版本。",
    "The id of this request, as in the header X-Request-Id.": "这个请求的编号，与头部 X-Request-Id 相同。",
    "One answer for each row, in order.": "每一行一个回答，顺序相同。",
    # Requests.
    "One row.": "一行。",
    "Rows, at most {most}.": "多行，最多 {most} 行。",
    "Give the probability of each label too.": "同时给出每个标签的概率。",
    "A version number or an alias: champion, challenger, previous.": "版本号或别名：champion、challenger、previous。",
    "The language of descriptions.": "说明文字的语言。",
    # Operations.
    "The models that answer here.": "此处提供回答的模型。",
    "What the model {name} takes and gives.": "模型 {name} 的输入和输出。",
    "Answers of the model {name}.": "模型 {name} 的回答。",
    "Which parts of a row the answer of {name} rests on.": "模型 {name} 的回答取决于这一行的哪些部分。",
    "Say what the right answer was, or how good an answer was.": "告诉我们正确答案，或者对回答的评价。",
    "The id of the answer that this is about.": "所评价的回答的编号。",
    "The right answer.": "正确答案。",
    "Another name of label.": "label 的另一个名称。",
    "Another name of comment.": "comment 的另一个名称。",
    "How good the outcome was, any number.": "结果有多好，任意数值。",
    "How good the answer was, 1 to 5.": "回答有多好，1 到 5。",
    "What a person says about it.": "用户的说明。",
    "Where the feedback comes from.": "反馈的来源。",
    "Whether a person or a model judged.": "由人还是由模型作出的判断。",
    "The id of this feedback.": "这条反馈的编号。",
    "What became of it: it waits for review, or was taken.": "它的状态：等待审核，或已被采纳。",
    "Why it was rejected at once, where it was.": "若被立即拒绝，拒绝的原因。",
    "The label to explain; the predicted one unless given.": "要解释的标签；默认为预测的标签。",
    "Parts, the weightiest first.": "各个部分，影响最大的在前。",
    "The column that the part belongs to.": "该部分所属的列。",
    "What the log-odds of the label, or the number, lose without this part.": "去掉该部分后，该标签的对数几率（或数值）减少多少。",
    # Errors by status.
    "Malformed.": "请求的格式不对。",
    "No key, or one that is wrong, expired or revoked.": "没有密钥，或密钥有误、已过期或已撤销。",
    "A key that may not do this, or a request from a foreign page.": "密钥无此权限，或请求来自其他网站的页面。",
    "No such model, version or answer.": "没有这个模型、版本或回答。",
    "The request took too long to arrive.": "请求迟迟没有传完。",
    "The same was sent before.": "同样的内容已经发送过。",
    "The body is too large.": "请求正文过大。",
    "The body is of a type that is not read.": "不接受这种类型的请求正文。",
    "The rows are not what the model takes.": "数据行不符合模型的要求。",
    "Too many requests; Retry-After says when to come again.": "请求过多；Retry-After 说明何时再来。",
    "A fault of the service; the log knows the id.": "服务内部出错；可凭编号查日志。",
    "Not ready; Retry-After says when to come again.": "尚未就绪；Retry-After 说明何时再来。",
    "No answer in time.": "未能及时给出回答。",
    # The page of the API.
    "How to call this service": "如何调用本服务",
    "Column": "列",
    "What it holds": "内容",
    "The machine-readable description is at": "机器可读的说明见",
    "It also speaks the Open Inference Protocol v2 (/v2), TensorFlow Serving's :predict and MLflow's /invocations.": (
        "本服务还支持 Open Inference Protocol v2（/v2）、TensorFlow Serving 的 :predict 和 MLflow 的 /invocations。"
    ),
    "An example that works": "一个可以运行的例子",
    "This service asks for a key. Give yours to the examples first:": "本服务需要密钥。请先把您的密钥交给例子：",
    "Answer": "回答",
}


def in_language(language: str) -> Say:
    """What turns a sentence of ours into this language and fills in its names; others stay as they are.

    >>> in_language("zh")("Rows, at most {most}.", most="1,000")
    '多行，最多 1,000 行。'
    """

    def say(text: str, **values: Any) -> str:
        chosen = CHINESE.get(text, text) if language == "zh" else text
        return chosen.format(**values) if values else chosen

    return say
