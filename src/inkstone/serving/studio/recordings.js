// Speech as text: a file that is dropped, or what the microphone hears; the words stand under the sound, each where it is said.

import { samples, wav } from "./wav.js";

export const words = {
  en: {
    drop: "Drop a recording here, or choose one", "choose file": "Choose a file", record: "Record", "stop recording": "Stop recording", recording: "Recording … {n} s", listening: "Listening …",
    "no microphone": "The microphone cannot be used: {why}", "not here": "A browser lets a page listen only over https or on this machine itself.",
    "heard nothing": "Nothing was heard.", transcript: "Transcript", "play word": "Play from {time} s", "sound of": "The recording",
  },
  zh: {
    drop: "把录音拖到这里，或选一个文件", "choose file": "选择文件", record: "录音", "stop recording": "停止录音", recording: "正在录音……{n} 秒", listening: "正在听……",
    "no microphone": "麦克风无法使用：{why}", "not here": "浏览器只允许 https 页面或本机页面使用麦克风。",
    "heard nothing": "什么也没有听到。", transcript: "文字", "play word": "从第 {time} 秒播放", "sound of": "录音",
  },
};

/** The form and the transcript; returns what stops the microphone. */
export function recordings(model, form, { t, el, put, set, svg, icon, api, fail, number, signal }) {
  const result = el("section.result", { "aria-live": "polite" });
  const file = el("input", { type: "file", accept: "audio/*,.wav,.flac,.mp3,.ogg,.m4a,.webm", id: "sound", onchange: () => { if (file.files[0]) take(file.files[0]); file.value = ""; } });
  const state = el("p.soft", { role: "status" });
  const record = el("button", { type: "button", id: "record", onclick: () => (recorder ? recorder.stop() : listen()) }, icon("microphone"), el("span", { text: () => t("record") }));
  const drop = el("div.drop", {
    ondragover: (event) => { event.preventDefault(); drop.classList.add("over"); },
    ondragleave: () => drop.classList.remove("over"),
    ondrop: (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      const [dropped] = event.dataTransfer.files;
      if (dropped) take(dropped);
    },
  }, el("label.choose", { htmlFor: "sound" }, icon("file"), el("span", { text: () => t("drop") })), file, el("div.row", {}, record), state);
  put(form, drop, result);
  let recorder = null;
  let address = null;
  let timer = 0;
  let turn = 0;

  async function listen() {
    let stream;
    try {
      if (!navigator.mediaDevices) throw new Error(t("not here"));
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) { return fail(Object.assign(new Error(t("no microphone", { why: error.message })), { name: "MicrophoneError" })); }
    const parts = [];
    const began = performance.now();
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = async () => {
      clearInterval(timer);
      for (const track of stream.getTracks()) track.stop();
      const type = recorder.mimeType;
      recorder = null;
      record.classList.remove("listening");
      put(record, icon("microphone"), el("span", { text: () => t("record") }));
      state.textContent = "";
      if (!form.isConnected) return;
      try { await take(wav(await samples(new Blob(parts, { type }))), "recording.wav"); } catch (error) { fail(error); }
    };
    recorder.start();
    record.classList.add("listening");
    put(record, icon("stop"), el("span", { text: () => t("stop recording") }));
    const tick = () => { state.textContent = t("recording", { n: number((performance.now() - began) / 1000) }); };
    tick();
    timer = setInterval(tick, 500);
  }

  async function take(sound, name = sound.name) {
    const mine = ++turn;
    const asked = new FormData();
    asked.append("file", sound, name);
    asked.append("model", model.id);
    asked.append("response_format", "verbose_json");
    asked.append("timestamp_granularities[]", "word");
    state.textContent = t("listening");
    try {
      const found = await api("/v1/audio/transcriptions", { method: "POST", body: asked, signal });
      if (mine === turn) await draw(found, sound);
    } catch (error) { fail(error); } finally {
      if (mine === turn) state.textContent = "";
    }
  }

  async function draw(found, sound) {
    if (address) URL.revokeObjectURL(address);
    address = URL.createObjectURL(sound);
    const player = el("audio", { controls: true, src: address, label: () => t("sound of") });
    const said = (found.words ?? []).map((each) => el("button.word", {
      type: "button", title: () => t("play word", { time: number(each.start, 2) }), dataset: { start: String(each.start), end: String(each.end) },
      onclick: () => { player.currentTime = each.start; player.play().catch(fail); },
    }, el("span", { text: each.word }), el("small", { text: number(each.start, 2) })));
    player.addEventListener("timeupdate", () => {
      for (const word of said) word.classList.toggle("now", player.currentTime >= Number(word.dataset.start) && player.currentTime < Number(word.dataset.end));
    });
    const wave = svg("svg", { class: "wave", viewBox: "0 0 600 60", preserveAspectRatio: "none", "aria-hidden": "true" });
    put(result, el("p.verdict", { text: found.text || (() => t("heard nothing")) }), wave, player, el("div.said-words", {}, said),
      found.segments?.length > 1 && el("ol.segments", {}, found.segments.map((each) => el("li", {}, el("small", { text: `${number(each.start, 1)} – ${number(each.end, 1)} s` }), ` ${each.text}`))));
    try { drawWave(wave, await samples(sound), found, svg); } catch { wave.remove(); /* a kind of file that only the server reads */ }
  }

  return () => {
    turn += 1;
    clearInterval(timer);
    if (recorder) recorder.stop();
    if (address) URL.revokeObjectURL(address);
  };
}

/** The loudness over time, the words as shades behind it. */
function drawWave(wave, mixed, found, svg) {
  const columns = 300;
  const size = Math.max(1, Math.floor(mixed.length / columns));
  const duration = mixed.length / 16000;
  for (const [place, word] of (found.words ?? []).entries()) {
    wave.append(svg("rect", { x: (600 * word.start) / duration, width: Math.max(1, (600 * (word.end - word.start)) / duration), y: 0, height: 60, class: place % 2 ? "odd" : "even" }));
  }
  let path = "";
  for (let column = 0; column < columns; column += 1) {
    let most = 0;
    for (let at = column * size; at < (column + 1) * size && at < mixed.length; at += 1) most = Math.max(most, Math.abs(mixed[at]));
    const half = Math.max(0.6, 28 * most);
    path += `M${column * 2 + 1} ${(30 - half).toFixed(1)}V${(30 + half).toFixed(1)}`;
  }
  wave.append(svg("path", { d: path }));
}
