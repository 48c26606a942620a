// Runs: train one on a text that is dropped here, see the plan before it begins, watch it learn, stop it, go on, serve it.

import { curves, words as curveWords } from "./curve.js";
import { textChoice, words as dropWords } from "./drop.js";
import { beforeAndAfter, words as feedbackWords } from "./feedback.js";
import { score } from "./words.js";

const own = {
  en: {
    title: "Train a model on your text", minutes: "Minutes", name: "Name", plan: "Show the plan", train: "Begin training", "by hand": "Settings, where the planner is not to choose",
    width: "Width", layers: "Layers", context: "Context", steps: "Steps instead of minutes", family: "Kind of model", "planner's": "as planned",
    choice: "Choice", value: "Value", why: "Why", "will read": "It will read about {tokens} tokens in {steps} steps: the text {times} times over.", planned: "What the planner would choose",
    "plan note": "Estimated from the size of the text and the speed of this machine; the run itself counts and times both.", working: "Working …",
    now: "Trainings", running: "trains", waiting: "waits", finished: "finished", stopped: "stopped", failed: "failed", training: "trains", unfinished: "can be gone on with", model: "model", damaged: "damaged",
    stop: "Stop", "take back": "Take back", "go on": "Go on", serve: "Serve it", served: "served", talk: "Ask it", runs: "Runs", "no runs": "No run yet.", "stops": "It saves its state and ends.",
    "goes on": "It goes on.", "is served": "It is served from now on.", "of minutes": "{n} min", open: "Look at it", close: "Close", sample: "It writes", "learned from marks": "Learned from marks", parameters: "weights", tokens: "tokens seen", seconds: "seconds", log: "What it says",
    "what is in it": "What is in this text", queued: "It waits for its turn.", begun: "It has begun.", "bits per byte": "bits per byte",
  },
  zh: {
    title: "用你的文本训练一个模型", minutes: "分钟", name: "名字", plan: "先看计划", train: "开始训练", "by hand": "不让规划器决定的设置",
    width: "宽度", layers: "层数", context: "上下文", steps: "用步数代替分钟", family: "模型种类", "planner's": "按计划",
    choice: "选择", value: "值", why: "原因", "will read": "大约读 {tokens} 个词元，走 {steps} 步：把文本读 {times} 遍。", planned: "规划器会怎么选",
    "plan note": "由文本大小和这台机器的速度估计；训练时会实际计数和计时。", working: "请稍候……",
    now: "训练", running: "训练中", waiting: "排队", finished: "已完成", stopped: "已停止", failed: "失败", training: "训练中", unfinished: "可以接着训练", model: "模型", damaged: "已损坏",
    stop: "停止", "take back": "撤回", "go on": "接着训练", serve: "上线", served: "已上线", talk: "去提问", runs: "模型", "no runs": "还没有模型。", "stops": "它保存状态后结束。",
    "goes on": "已接着训练。", "is served": "已上线。", "of minutes": "{n} 分钟", open: "查看", close: "收起", sample: "它写的", "learned from marks": "从评价中学到的", parameters: "权重", tokens: "读过的词元", seconds: "秒", log: "它说的话",
    "what is in it": "看看文本里有什么", queued: "已排队。", begun: "已开始。", "bits per byte": "每字节比特数",
  },
};
const all = [feedbackWords, dropWords, curveWords, own];
export const words = { en: Object.assign({}, ...all.map((each) => each.en)), zh: Object.assign({}, ...all.map((each) => each.zh)) };
export const styles = ["runs.css"];

const EVERY = 1500; // milliseconds between two looks at what trains
const FAMILIES = ["decoder", "ngram", "neural_ngram", "recurrent", "convolutional"];
const BY_HAND = { width: "model.width", layers: "model.n_layers", context: "model.context", steps: "train.steps" };

/** The page. */
export async function show(root, context) {
  const { t, el, put, set, api, fail, tell, signal, params, number, models } = context;
  const planned = el("section.planned", { "aria-live": "polite" });
  const jobs = el("section.jobs");
  const runs = el("section.runs");
  const journals = new Map(); // name of a run → { entries, next, of }
  const watching = new Map(); // name of a run → the curves that show it
  let opened = params.get("run");
  let said = ""; // what is shown, so that nothing is drawn again that did not change

  const minutes = el("input", { type: "number", min: 0.1, max: 10080, step: "any", value: 5, id: "minutes" });
  const name = el("input", { type: "text", maxLength: 60, id: "name", autocomplete: "off" });
  const family = el("select", { label: () => t("family") }, FAMILIES.map((each) => el("option", { value: each, text: each })));
  const fields = Object.fromEntries(Object.keys(BY_HAND).map((each) => [each, el("input", { type: "number", min: 1, step: 1, placeholder: () => t("planner's") })]));
  const plan = el("button.quiet", { type: "button", text: () => t("plan"), onclick: () => busy(plan, showPlan) });
  const train = el("button", { type: "button", text: () => t("train"), onclick: () => busy(train, begin) });
  const labelled = (key, field) => el("label", {}, el("span", { text: () => t(key) }), field);
  const form = el("div", {},
    el("div.row.choices", {}, labelled("minutes", minutes), labelled("name", name), plan, train),
    el("details", {}, el("summary", { text: () => t("by hand") }),
      el("div.row.choices", {}, labelled("family", family), Object.entries(fields).map(([key, field]) => labelled(key, field)))),
    planned);
  let choice = null;
  choice = await textChoice(context, () => { put(planned); dress(); }, params.get("text"));
  put(root, el("h1", { text: () => t("title") }), choice, form, jobs, runs);
  dress();
  await look();
  context.onLanguage(() => {
    for (const [run, box] of watching) {
      box.drawn = null;
      if (journals.has(run)) draw(run, box);
    }
  });
  const timer = setInterval(() => { if (!document.hidden) look().catch(() => {}); }, EVERY); // a server that is away is said once, by what a person does
  return () => clearInterval(timer);

  function dress() {
    const text = choice?.value;
    form.hidden = !text;
    if (text) name.placeholder = text.name.split(".")[0];
  }

  function wished() {
    const settings = family.value === "decoder" ? {} : { "model.family": family.value };
    for (const [key, field] of Object.entries(fields)) if (field.value) settings[BY_HAND[key]] = Number(field.value);
    return { text: choice.value.id, minutes: fields.steps.value ? null : Number(minutes.value), name: name.value.trim() || null, settings };
  }

  async function busy(button, work) {
    button.disabled = true;
    try {
      await work();
    } catch (error) { fail(error); } finally { button.disabled = false; }
  }

  async function showPlan() {
    put(planned, el("p.soft", {}, el("span.waiting", { "aria-hidden": "true" }), " ", el("span", { text: () => t("working") })));
    let found;
    try {
      found = await api("/studio/api/jobs/preview", { json: wished(), signal });
    } catch (error) {
      put(planned);
      throw error;
    }
    const { predicted } = found;
    put(planned, el("h2", { text: () => t("planned") }), choicesTable(found.choices),
      predicted.steps && el("p", { text: () => t("will read", { tokens: number(predicted.tokens), steps: number(predicted.steps), times: number(predicted.epochs, predicted.epochs < 10 ? 1 : 0) }) }),
      el("p.soft", { text: () => t("plan note") }));
  }

  async function begin() {
    const job = await api("/studio/api/jobs", { json: wished(), signal });
    tell(t((await api("/studio/api/jobs", { signal })).jobs.some((each) => each.state === "running" && each.id !== job.id) ? "queued" : "begun"));
    put(planned);
    name.value = "";
    await look();
  }

  function choicesTable(choices) {
    return el("div.table", { tabIndex: 0 }, el("table", {},
      el("thead", {}, el("tr", {}, ["choice", "value", "why"].map((each) => el("th", { text: () => t(each) })))),
      el("tbody", {}, choices.map((each) => el("tr", {}, el("td", { text: each.name }), el("td", { text: String(each.value) }), el("td.soft", { text: each.why }))))));
  }

  /** Ask how everything stands, and draw what changed. */
  async function look() {
    const [found, known] = await Promise.all([api("/studio/api/jobs", { signal }), api("/studio/api/runs", { signal })]);
    if (signal.aborted) return;
    const shown = JSON.stringify([found.jobs, known.runs.map(({ changed, ...each }) => each), opened]);
    if (shown !== said) {
      said = shown;
      watching.clear();
      drawJobs(found.jobs);
      drawRuns(known.runs, found.jobs);
    }
    const live = new Set([...found.jobs.filter((each) => each.state === "running").map((each) => each.run), ...known.runs.filter((each) => each.state === "training").map((each) => each.name)]);
    const there = new Set(known.runs.map((each) => each.name));
    const isBehind = (run) => !journals.has(run) || journals.get(run).live || live.has(run); // once more after its end
    await Promise.all([...watching.keys()].filter((run) => there.has(run) && isBehind(run)).map((run) => read(run, live.has(run))));
    for (const [run, box] of watching) if (journals.has(run)) draw(run, box);
  }

  async function read(run, live) {
    const kept = journals.get(run) ?? { entries: [], next: 0, of: "" };
    kept.live = live;
    let more = true;
    while (more) {
      const since = kept.next;
      const found = await api(`/studio/api/runs/${encodeURIComponent(run)}/journal?since=${since}&of=${kept.of}`, { signal });
      if (kept.next !== since) return; // a look that began earlier or later has read on meanwhile
      if (found.again) kept.entries = [];
      kept.entries.push(...found.entries);
      [kept.next, kept.of, more] = [found.next, found.of, found.more];
    }
    journals.set(run, kept);
  }

  function draw(run, box) {
    const { entries } = journals.get(run);
    if (box.drawn === entries.length && entries.length) return;
    box.drawn = entries.length;
    const unfolded = Boolean(box.querySelector("details[open]"));
    box.show(entries);
    if (unfolded) box.querySelector("details").open = true;
  }

  function watched(run) {
    const box = curves(context);
    watching.set(run, box);
    return box;
  }

  function drawJobs(found) {
    const shown = found.filter((each) => ["running", "waiting"].includes(each.state)).concat(found.filter((each) => ["failed"].includes(each.state)).slice(0, 2));
    put(jobs, shown.length > 0 && el("h2", { text: () => t("now") }), shown.map((job) => {
      const going = job.state === "running" || job.state === "waiting";
      return el(`article.job.${job.state}`, {},
        el("div.row.apart", {},
          el("strong", { text: job.run }),
          el("span.row", {}, el("span.soft", { text: () => [t(job.state), job.about.text, job.about.minutes && t("of minutes", { n: job.about.minutes })].filter(Boolean).join(" · ") }),
            going && el("button.quiet", {
              type: "button", text: () => t(job.state === "running" ? "stop" : "take back"), label: () => `${t(job.state === "running" ? "stop" : "take back")}: ${job.run}`,
              onclick: () => act(`/studio/api/jobs/${job.id}`, { method: "DELETE" }, "stops"),
            }))),
        job.message && el("p.soft", { text: job.message }),
        job.state === "running" && watched(job.run),
        job.state !== "waiting" && log(job));
    }));
  }

  function log(job) {
    const words = el("pre.log", { tabIndex: 0, label: () => t("log") });
    return el("details", {
      ontoggle: async (event) => {
        if (!event.target.open) return;
        try { words.textContent = (await api(`/studio/api/jobs/${job.id}`, { signal })).log; } catch (error) { fail(error); }
      },
    }, el("summary", { text: () => t("log") }), words);
  }

  function drawRuns(found, asked) {
    const busyRuns = new Set(asked.filter((each) => ["running", "waiting"].includes(each.state)).map((each) => each.run));
    put(runs, el("h2", { text: () => t("runs") }), !found.length && el("p.soft", { text: () => t("no runs") }),
      found.map((run) => {
        const figure = () => run.figure && score(run.figure, t);
        const folded = opened !== run.name;
        return el(`article.run.${run.state}`, { id: `run-${run.name}` },
          el("div.row.apart", {},
            el("strong", { text: run.name }),
            el("span.soft", { text: () => [t(run.state), run.task && run.task !== "language-modelling" ? run.task : run.family, figure(), run.served && t("served")].filter(Boolean).join(" · ") })),
          run.message && el("p.soft", { text: run.message }),
          el("div.row", {},
            el("button.quiet", {
              type: "button", "aria-expanded": String(!folded), text: () => t(folded ? "open" : "close"), label: () => `${t(folded ? "open" : "close")}: ${run.name}`,
              onclick: () => { opened = folded ? run.name : null; journals.delete(run.name); look().catch(fail); },
            }),
            run.state === "unfinished" && !busyRuns.has(run.name) && el("button.quiet", {
              type: "button", text: () => t("go on"), label: () => `${t("go on")}: ${run.name}`, onclick: () => act(`/studio/api/runs/${encodeURIComponent(run.name)}/resume`, { json: {} }, "goes on"),
            }),
            ["finished", "model"].includes(run.state) && !run.served && el("button.quiet", {
              type: "button", text: () => t("serve"), label: () => `${t("serve")}: ${run.name}`,
              onclick: (event) => busy(event.target, () => act(`/studio/api/runs/${encodeURIComponent(run.name)}/serve`, { json: {} }, "is served", true)),
            }),
            run.served && el("a.button.quiet", { href: `#/${["language-modelling", "chat", "prefer", undefined].includes(run.task) ? "chat" : "tasks"}?model=${encodeURIComponent(run.served)}`, text: () => t("talk") })),
          !folded && detail(run));
      }));
    if (opened) document.getElementById(`run-${opened}`)?.scrollIntoView?.({ block: "nearest" });
  }

  function detail(run) {
    const figures = ["parameters", "tokens", "seconds"].filter((each) => run[each]);
    return el("div.detail", {},
      figures.length > 0 && el("dl.numbers", {}, figures.map((each) => el("div", {}, el("dt", { text: () => t(each) }), el("dd", { text: () => number(run[each]) })))),
      watched(run.name),
      run.adapted?.kept_aside && [el("h3", { text: () => t("learned from marks") }), beforeAndAfter(run.adapted, context)],
      run.sample && [el("h3", { text: () => t("sample") }), el("p.given", { text: run.sample, tabIndex: 0 })],
      run.choices?.length > 0 && el("details", {}, el("summary", { text: () => t("planned") }), choicesTable(run.choices)));
  }

  async function act(path, options, done, again = false) {
    try {
      await api(path, { ...options, signal });
      tell(t(done));
      if (again) await models(true);
      await look();
    } catch (error) { fail(error); }
  }
}
