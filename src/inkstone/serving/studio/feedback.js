// What people said of answers, what follows from it, and the model that learns from it.

import { shortName } from "./models.js";

export const words = {
  en: {
    title: "What people said of answers", none: "No mark yet. Give an answer a thumb in Chat, or say in Compare which of two is better.",
    up: "good", down: "bad", better: "better", "than": "than", marks: "marks", pairs: "pairs", "good alone": "good answers alone", "bad alone": "bad answers alone",
    learn: "Let a model learn from it", "ready prefer": "There are enough pairs: low-rank changes learn to tell the better answer.", "ready chat": "There are enough good answers: low-rank changes learn to answer like them.",
    "not ready": "Needed are {least} pairs, or as many good answers, to {questions} different questions. A pair is a comparison, or a thumb up and a thumb down on answers to one question.",
    "which run": "Model", minutes: "Minutes", begin: "Begin", command: "Or on the command line, in the studio's folder:", "begun": "It learns. See Runs.", regenerate: "Pair lone marks with a new answer of the model", "no runs": "No run here has a chat template; make one with inkstone tune chat.",
    "export": "Export", "export pairs": "Pairs (jsonl)", "export examples": "Good answers (jsonl)", "export marks": "All marks (jsonl)", "take back": "Take back", "taken back": "The mark is taken back", "more marks": "Older marks",
    figure: "figure", before: "before", after: "after", adapted: "What was learned", "reward accuracy": "better answer told", margin: "margin", likelier: "better answer likelier", "answer loss": "answer loss", perplexity: "perplexity", "kept aside": "On marks that were kept aside, before and after.", "list of marks": "Marks",
  },
  zh: {
    title: "大家怎么评价回答", none: "还没有评价。可以在“对话”里点赞或点踩，或在“比较”里说哪个更好。",
    up: "好", down: "不好", better: "更好", "than": "优于", marks: "条评价", pairs: "对", "good alone": "单独的好回答", "bad alone": "单独的坏回答",
    learn: "让模型从中学习", "ready prefer": "成对的已够：低秩改动学着分辨更好的回答。", "ready chat": "好的回答已够：低秩改动学着像它们那样回答。",
    "not ready": "需要 {least} 对，或同样多的好回答，涉及至少 {questions} 个不同的问题。一次比较，或对同一问题的回答一赞一踩，就是一对。",
    "which run": "模型", minutes: "分钟", begin: "开始", command: "或在工作室文件夹里运行命令：", "begun": "已开始学习，见“模型”页。", regenerate: "单独的评价配上模型的新回答", "no runs": "这里没有带对话模板的模型；用 inkstone tune chat 做一个。",
    "export": "导出", "export pairs": "成对的回答（jsonl）", "export examples": "好的回答（jsonl）", "export marks": "全部评价（jsonl）", "take back": "收回", "taken back": "评价已收回", "more marks": "更早的评价",
    figure: "数字", before: "之前", after: "之后", adapted: "学到了什么", "reward accuracy": "分辨出更好的回答", margin: "差距", likelier: "更好的回答更可能", "answer loss": "回答的损失", perplexity: "困惑度", "kept aside": "在留下的评价上，学之前与学之后。", "list of marks": "评价",
  },
};
export const styles = ["runs.css"];

const SHARES = new Set(["reward accuracy", "likelier"]);

/** Before and after of a run that learned from marks, as a table. */
export function beforeAndAfter(adapted, { t, el, number, percent }) {
  const told = (name, value) => (value === null ? "–" : SHARES.has(name) ? percent(value) : number(value, 3));
  return el("div.table", { tabIndex: 0 }, el("table.learned", {},
    el("thead", {}, el("tr", {}, el("th", { text: () => t("figure") }), el("th.n", { text: () => t("before") }), el("th.n", { text: () => t("after") }))),
    el("tbody", {}, Object.entries(adapted.kept_aside).map(([name, figure]) => el("tr", {},
      el("td", { text: () => t(name) }), el("td.n", { text: () => told(name, figure.before) }), el("td.n", { text: () => told(name, figure.after) }))))));
}

/** The page. */
export async function show(root, context) {
  const { t, el, put, api, fail, tell, signal, number, models } = context;
  const top = el("section");
  const list = el("section.marks", { label: () => t("list of marks") });
  const more = el("button.quiet", { type: "button", text: () => t("more marks"), hidden: true, onclick: () => older().catch(fail) });
  put(root, el("h1", { text: () => t("title") }), top, list, more);
  let oldest = null;
  const chatting = (await models()).filter((each) => each.kind === "chat").map((each) => each.id);
  await fresh();

  async function fresh() {
    const [found, known] = await Promise.all([api("/studio/api/feedback?limit=50", { signal }), api("/studio/api/runs", { signal })]);
    if (signal.aborted) return;
    const all = Object.values(found.counts).reduce((sum, each) => sum + each, 0);
    put(list);
    if (!all) return put(top, el("p.soft", { text: () => t("none") }));
    put(top, summary(found, all), learning(found, known.runs), learned(known.runs), exports());
    add(found.marks);
  }

  function summary({ lesson }, all) {
    const figure = (value, name) => el("div", {}, el("dt", { text: () => t(name) }), el("dd", { text: () => number(value) }));
    return el("dl.numbers", {}, figure(all, "marks"), figure(lesson.pairs, "pairs"), figure(lesson.ups, "good alone"), figure(lesson.downs, "bad alone"));
  }

  function learning({ lesson, file }, runs) {
    const can = runs.filter((each) => each.served ? chatting.includes(each.served) : ["chat", "prefer"].includes(each.task) && each.state === "finished");
    const select = el("select", { label: () => t("which run"), onchange: () => say() }, can.map((each) => el("option", { value: each.name, text: each.name })));
    const minutes = el("input", { type: "number", min: 0.1, max: 600, step: "any", value: 5, oninput: () => say() });
    const regenerate = el("input", { type: "checkbox", onchange: () => say() });
    const command = el("code");
    const ready = () => lesson.ready || (regenerate.checked && lesson.pairs + lesson.ups + lesson.downs >= lesson.least);
    const go = el("button", {
      type: "button", text: () => t("begin"),
      onclick: async () => {
        go.disabled = true;
        try {
          await api(`/studio/api/runs/${encodeURIComponent(select.value)}/adapt`, { json: { minutes: Number(minutes.value), regenerate: regenerate.checked }, signal });
          tell(t("begun"));
          context.go("#/runs");
        } catch (error) { fail(error); say(); }
      },
    });
    const say = () => {
      command.textContent = `inkstone adapt ${select.value || "RUN"} --from ${file} --minutes ${minutes.value || 5}${regenerate.checked ? " --regenerate" : ""}`;
      go.disabled = !select.value || !ready() || !(Number(minutes.value) > 0);
    };
    say();
    return el("div", {}, el("h2", { text: () => t("learn") }),
      el("p", { text: () => (lesson.ready ? t(`ready ${lesson.ready}`) : t("not ready", { least: lesson.least, questions: lesson.least_questions })) }),
      can.length ? el("div.row.choices", {}, el("label.pick", {}, el("span", { text: () => t("which run") }), select),
        el("label", {}, el("span", { text: () => t("minutes") }), minutes), go) : el("p.soft", { text: () => t("no runs") }),
      can.length > 0 && lesson.ups + lesson.downs > 0 && el("label.check", {}, regenerate, el("span", { text: () => t("regenerate") })),
      el("p.soft", { text: () => t("command") }), el("pre", { tabIndex: 0 }, command));
  }

  function learned(runs) {
    const found = runs.filter((each) => each.adapted?.kept_aside);
    return found.length > 0 && el("div", {}, el("h2", { text: () => t("adapted") }), el("p.soft", { text: () => t("kept aside") }),
      found.map((each) => el("div", {}, el("h3", { text: each.name }), beforeAndAfter(each.adapted, context))));
  }

  function exports() {
    const out = async (form) => {
      try {
        const answer = await api(`/studio/api/feedback/export?form=${form}`, { raw: true, signal });
        const link = el("a", { href: URL.createObjectURL(await answer.blob()), download: `${form}.jsonl` });
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      } catch (error) { fail(error); }
    };
    return el("div", {}, el("h2", { text: () => t("export") }),
      el("div.row", {}, ["pairs", "examples", "marks"].map((form) => el("button.quiet", { type: "button", text: () => t(`export ${form}`), onclick: () => out(form) }))));
  }

  function add(marks) {
    if (marks.length) oldest = marks[marks.length - 1].made;
    more.hidden = marks.length < 50;
    if (!list.children.length) list.append(el("h2", { text: () => t("list of marks") }));
    list.append(...marks.map(card));
  }

  async function older() {
    add((await api(`/studio/api/feedback?limit=50&before=${oldest}`, { signal })).marks);
  }

  function card(mark) {
    const asked = mark.messages[mark.messages.length - 1].content;
    return el("article.mark", {},
      el("div.row.apart", {},
        el(`span.verdict-of.${mark.kind}`, { text: () => t(mark.kind) }),
        el("small.soft", { text: () => `${shortName(mark.model || "")} · ${new Date(1000 * mark.made).toLocaleString(context.language() === "zh" ? "zh-CN" : "en")}` })),
      el("p.question", { text: asked, tabIndex: 0 }), el("p.given", { text: mark.answer, tabIndex: 0 }),
      mark.other && [el("small.soft", { text: () => t("than") }), el("p.given.other", { text: mark.other, tabIndex: 0 })],
      el("button.quiet", {
        type: "button", text: () => t("take back"), label: () => `${t("take back")}: ${asked.slice(0, 60)}`,
        onclick: async () => {
          try {
            await api(`/studio/api/feedback/${mark.id}`, { method: "DELETE", signal });
            tell(t("taken back"));
            await fresh();
          } catch (error) { fail(error); }
        },
      }));
  }
}
