// What the page says, in English and Chinese, and the few functions that write text into it.
// Everything that comes from outside goes through textContent: nothing is ever read as HTML.

const WORDS = {
  en: {
    "plain-number": "{0}", "skip": "Skip to the question", "model": "Model", "other-language": "中文", "ask-title": "Your question",
    "answer-title": "Answer", "one": "One", "several": "Several", "ways": "How many", "ask": "Ask",
    "example": "Try an example", "clear": "Clear", "empty": "The answer appears here.", "asking": "Asking …",
    "optional": "optional", "range": "Usually {0} to {1}", "outside": "Outside what the model has seen ({0} to {1}); the answer may be less sure.",
    "choose": "Choose …", "missing": "Not known", "text-hint": "Press Ctrl + Enter to ask.",
    "need": "Please fill in “{0}”.", "need-number": "“{0}” needs a number, such as 0.5.", "moment": "For example 2026-03-14",
    "picture-drop": "Drop a picture here, paste it, or", "picture-file": "choose a file", "picture-camera": "Use the camera",
    "picture-take": "Take the picture", "picture-other": "Another picture", "picture-kinds": "JPEG, PNG, WebP or BMP, at most 7 MB",
    "picture-of": "The picture {0}", "picture-bad": "“{0}” cannot be read as a picture. JPEG, PNG, WebP and BMP can.",
    "picture-big": "“{0}” is larger than 7 MB. Please make it smaller first.", "camera-no": "The camera cannot be used: {0}.",
    "sure": "{0} sure", "between": "between {0} and {1}, nine times in ten", "none": "None of them", "all": "Show all {0}", "fewer": "Show fewer",
    "each": "How likely each is", "answered": "Answer: {0}, {1} sure", "answered-plain": "Answer: {0}", "version": "version {0}", "ms": "{0} ms",
    "refused": "This could not be answered", "refused-more": "Please change it and ask again.",
    "why": "Why?", "why-title": "Why “{0}”", "why-number": "Why this number", "why-doing": "Looking for the reasons …", "why-none": "No part stands out.", "why-gone": "The version that gave this answer is no longer here. Please ask again to see why.",
    "why-for": "speaks for it", "why-against": "speaks against it", "why-words": "The words that counted most: {0}.",
    "why-patch": "The picture’s weightiest patch lies {0} from the left and {1} from the top.", "why-how": "Each part is left out in turn; what the answer loses is its weight.",
    "raises": "makes it larger", "lowers": "makes it smaller", "why-missing": "not known",
    "right-ask": "Is this right?", "right": "Yes", "wrong": "This is wrong", "wrong-title": "What would be right?", "wrong-number": "The right number",
    "wrong-set": "Every label that fits", "comment": "A comment", "send": "Send", "cancel": "Cancel", "pick": "Please choose what would be right, or write a comment.",
    "thanks": "Thank you. It is checked before the model learns from it.", "thanks-right": "Thank you for telling.", "twice": "You have told us about this answer already. Thank you.", "rejected": "This was not taken", "rejected-more": "To give another answer, please ask again.",
    "rows-about": "Paste rows as CSV with the columns’ names in the first line, or choose a file.", "rows-texts": "Paste one text a line, or CSV with the column’s name in the first line, or choose a file.",
    "rows": "Rows", "rows-file": "Choose a CSV file", "rows-pictures": "Choose pictures", "rows-pictures-about": "Choose or drop up to {0} pictures.", "rows-ask": "Ask for all", "rows-stop": "Stop",
    "rows-none": "There are no rows in it.", "rows-wide": "“{1}” has more cells than the first line, which has {0}. Put a cell that holds a comma in quotes.", "rows-quote": "The quotation marks around “{0}” are not clear. Close each cell that opens with one, and double those inside.", "rows-lack": "The first line lacks the columns {0}. It has {1}.", "rows-many": "At most {0} rows at once, and there are {1}. Use the command `lingqu predict` for more.",
    "rows-ready": "{0} rows", "rows-doing": "{0} of {1}", "rows-done": "{0} answered, {1} refused", "rows-title": "Answers", "rows-first": "The first {0} are shown; the file holds all.", "save": "Save as CSV",
    "row": "Row", "answer": "Answer", "confidence": "Confidence", "low": "Low", "high": "High", "file": "File",
    "key-title": "A key is needed", "key-about": "This service answers those who have a key. It is kept in this tab only and forgotten when the tab is closed.", "key-wrong": "That key is not accepted. Please try another.", "key": "Key", "go-on": "Go on", "not-now": "Not now",
    "fault-0": "The service cannot be reached. Is it running?", "fault-401": "A key is needed for this.", "fault-403": "This key may not do that.", "fault-404": "There is no such thing here.",
    "fault-413": "That is too much at once.", "fault-429": "Many ask at this moment. Please try again in {0} s.", "fault-503": "The service is not ready yet. Please try again soon.", "fault-504": "The answer took too long. Please try again.",
    "fault": "Something went wrong.", "fault-id": "Tell the owner this number: {0}", "no-models": "No model is served here yet.", "no-explain": "This model cannot tell why.",
    "on-held-out": "{0} on rows it had never seen", "again": "Try again",
  },
  zh: {
    "plain-number": "{0}", "skip": "跳到提问处", "model": "模型", "other-language": "English", "ask-title": "您的问题",
    "answer-title": "回答", "one": "单条", "several": "多条", "ways": "数量", "ask": "提问",
    "example": "试一个例子", "clear": "清空", "empty": "回答会显示在这里。", "asking": "正在提问……",
    "optional": "可不填", "range": "通常在 {0} 到 {1} 之间", "outside": "超出模型见过的范围（{0} 到 {1}），回答可能不太可靠。",
    "choose": "请选择……", "missing": "未知", "text-hint": "按 Ctrl + Enter 提问。",
    "need": "请填写“{0}”。", "need-number": "“{0}”需要一个数字，例如 0.5。", "moment": "例如 2026-03-14",
    "picture-drop": "把图片拖到这里、粘贴，或", "picture-file": "选择文件", "picture-camera": "使用摄像头",
    "picture-take": "拍照", "picture-other": "换一张图片", "picture-kinds": "JPEG、PNG、WebP 或 BMP，不超过 7 MB",
    "picture-of": "图片 {0}", "picture-bad": "“{0}”不是可读的图片。支持 JPEG、PNG、WebP 和 BMP。",
    "picture-big": "“{0}”超过 7 MB，请先缩小。", "camera-no": "无法使用摄像头：{0}。",
    "sure": "有 {0} 的把握", "between": "十次中有九次在 {0} 到 {1} 之间", "none": "都不是", "all": "显示全部 {0} 项", "fewer": "收起",
    "each": "各项的可能性", "answered": "回答：{0}，有 {1} 的把握", "answered-plain": "回答：{0}", "version": "版本 {0}", "ms": "{0} 毫秒",
    "refused": "这一条无法回答", "refused-more": "请修改后再问一次。",
    "why": "为什么？", "why-title": "为什么是“{0}”", "why-number": "为什么是这个数", "why-doing": "正在寻找原因……", "why-none": "没有特别突出的部分。", "why-gone": "给出这个回答的版本已不在这里，请重新提问再看原因。",
    "why-for": "支持该回答", "why-against": "反对该回答", "why-words": "最重要的词：{0}。",
    "why-patch": "图片中最重要的区域距左边 {0}，距上边 {1}。", "why-how": "依次去掉每个部分，回答因此失去的就是该部分的权重。",
    "raises": "使数值变大", "lowers": "使数值变小", "why-missing": "未知",
    "right-ask": "这个回答对吗？", "right": "对", "wrong": "这不对", "wrong-title": "正确的应该是？", "wrong-number": "正确的数值",
    "wrong-set": "所有合适的标签", "comment": "备注", "send": "发送", "cancel": "取消", "pick": "请选择正确的回答，或写一条备注。",
    "thanks": "谢谢！您的意见经过核查后，模型才会从中学习。", "thanks-right": "谢谢您的确认！", "twice": "您已经对这个回答提过意见了，谢谢！", "rejected": "这条意见未被采纳", "rejected-more": "如需另行填写，请重新提问。",
    "rows-about": "粘贴 CSV（第一行是列名），或选择文件。", "rows-texts": "每行粘贴一条文本，或粘贴 CSV（第一行是列名），或选择文件。",
    "rows": "数据行", "rows-file": "选择 CSV 文件", "rows-pictures": "选择图片", "rows-pictures-about": "选择或拖入最多 {0} 张图片。", "rows-ask": "全部提问", "rows-stop": "停止",
    "rows-none": "里面没有数据行。", "rows-wide": "“{1}”的单元格比第一行的 {0} 个多。含逗号的单元格请加上引号。", "rows-quote": "“{0}”前后的引号不清楚。以引号开头的单元格要以引号结尾，其中的引号要写两个。", "rows-lack": "第一行缺少这些列：{0}。现有：{1}。", "rows-many": "一次最多 {0} 行，这里有 {1} 行。更多请用命令 `lingqu predict`。",
    "rows-ready": "{0} 行", "rows-doing": "{0} / {1}", "rows-done": "已回答 {0} 行，未能回答 {1} 行", "rows-title": "全部回答", "rows-first": "这里显示前 {0} 行，文件中有全部。", "save": "保存为 CSV",
    "row": "行", "answer": "回答", "confidence": "把握", "low": "下限", "high": "上限", "file": "文件",
    "key-title": "需要密钥", "key-about": "此服务只回答持有密钥的人。密钥只保存在这个标签页里，关闭后即忘记。", "key-wrong": "该密钥未被接受，请换一个再试。", "key": "密钥", "go-on": "继续", "not-now": "暂不",
    "fault-0": "无法连接服务。它在运行吗？", "fault-401": "此操作需要密钥。", "fault-403": "该密钥无权执行此操作。", "fault-404": "这里没有所找的内容。",
    "fault-413": "一次发送的内容太多。", "fault-429": "现在提问的人很多，请 {0} 秒后再试。", "fault-503": "服务尚未就绪，请稍后再试。", "fault-504": "回答超时，请再试一次。",
    "fault": "出了点问题。", "fault-id": "请把这个编号告诉服务的主人：{0}", "no-models": "这里还没有可用的模型。", "no-explain": "这个模型无法说明原因。",
    "on-held-out": "在从未见过的数据上：{0}", "again": "再试一次",
  },
};

// The reasons for which a row is refused are the service's own, in English; these are their Chinese.
const REASONS = [
  [/^Expected '(.*)' between (\S+) and (\S+), found (\S+)\. Training rows held (\S+) to (\S+)\.$/, "“{0}”应在 {1} 到 {2} 之间，得到的是 {3}。训练数据在 {4} 到 {5} 之间。"],
  [/^Expected (?:a|an) \S+ in '(.*)', found nothing\..*$/, "“{0}”不能为空。"],
  [/^Expected a number in '(.*)', found (.*?)\.(?: [A-Z].*)?$/, "“{0}”需要一个数字，得到的是 {1}。"],
  [/^Expected a picture in '(.*)', found .*$/, "“{0}”需要一张可读的图片。"],
  [/^Expected at most (\S+) characters in '(.*)', found (\S+)\. .*$/, "“{1}”最多 {0} 个字符，现有 {2} 个。"],
  [/^Expected finite numbers from the model .*$/, "模型无法计算这一条，请检查是否有极端的数值。"],
];

const spoken = new WeakMap();
let language = "en";

export const tongue = () => language;
const fill = (text, given) => text.replace(/\{(\d)\}/g, (_, place) => given[place] ?? "");
export const word = (name, ...given) => fill(WORDS[language][name] ?? name, given.map((one) => (typeof one === "function" ? one() : one)));
export const reason = (text) => {
  // A row that was asked alone has its place before the reason.
  const bare = text.replace(/^row: /, "");
  if (language === "zh") for (const [pattern, said] of REASONS) { const found = pattern.exec(bare); if (found) return fill(said, found.slice(1)); }
  return text;
};

// An element with properties and children; a child that is text becomes a text node.
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "word") say(node, ...[value].flat());
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && name !== "list" && name !== "form") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Text that follows the language; what is given may be functions that are asked again after a change.
export function say(node, name, ...given) {
  node.dataset.word = name;
  spoken.set(node, given);
  node.textContent = word(name, ...given);
  return node;
}

export function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word, ...(spoken.get(node) ?? []));
  document.dispatchEvent(new Event("spoken"));
}

export const number = (value) => {
  if (typeof value !== "number" || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return value.toExponential(3);
  return new Intl.NumberFormat(language, { maximumSignificantDigits: size >= 1e4 ? 9 : 5, useGrouping: size >= 1e4 }).format(value);
};
// A share is never rounded to certainty: nothing short of all is 100 %, nothing above none is 0 %.
const percent = (value) => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 }).format(value);
export const share = (value) => (value >= 0.995 ? `> ${percent(0.99)}` : value <= 0.005 ? `< ${percent(0.01)}` : percent(value));
