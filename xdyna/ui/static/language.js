// Says the whole page in the visitor's language. The server speaks English only; `props.phrases` holds, by language and
// English phrase, what stands there instead. A phrase may have gaps: {NAME} takes a number, {name} any text, which is
// said in the language too where it is a phrase itself. What is no phrase is tried piece by piece, and else stays.
const KEY = "xdyna-language";
const TAGS = { zh: "zh-CN" };
const ATTRIBUTES = ["alt", "aria-label", "aria-valuetext", "placeholder", "title"];
const BETWEEN = ["\n", " · ", " → "];
const SENTENCES = /(?<=[.!?]) (?=[A-Z“])/;
const GAP = /\{(\w+)\}/;

const phrases = JSON.parse(props.phrases);
const buttons = [...element.querySelectorAll("[data-language]")];
const languages = buttons.map((button) => button.dataset.language);

let whole = new Map(), patterns = [];

const learn = (table) => {
  whole = new Map();
  patterns = [];
  for (const [english, other] of Object.entries(table)) {
    const pieces = english.split(GAP); // words, name, words, name, ..., words
    whole.set(english, other);
    if (pieces.length === 1) continue;
    const source = pieces.map((piece, k) =>
      k % 2 === 0 ? piece.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") : piece === piece.toUpperCase() ? "([\\d.,]+)" : "(.+?)",
    );
    patterns.push({
      test: new RegExp(`^${source.join("")}$`, "s"),
      names: pieces.filter((_, k) => k % 2),
      words: pieces.filter((_, k) => k % 2 === 0).join("").length,
      other,
    });
  }
  patterns.sort((one, two) => two.words - one.words); // the most particular first
};

const phrase = (text) => {
  if (whole.has(text)) return whole.get(text);
  for (const { test, names, other } of patterns) {
    const found = test.exec(text);
    if (!found) continue;
    const said = Object.fromEntries(names.map((name, k) => [name, gap(found[k + 1])]));
    return other.replace(new RegExp(GAP, "g"), (_, name) => said[name]);
  }
  return null;
};

// A list in a gap: "3 turned away, 2 too small".
const gap = (text) => {
  const items = text.split(", ").map(phrase);
  return items.length > 1 && !items.includes(null) ? items.join(" / ") : say(text);
};

const say = (text) => {
  const found = phrase(text);
  if (found !== null) return found;
  const between = BETWEEN.find((sign) => text.includes(sign));
  if (between) return text.split(between).map(say).join(between);
  return sentenceBySentence(text.split(SENTENCES)).join(" ");
};

// As many sentences at once as make a phrase, from the first one on.
const sentenceBySentence = (sentences) => {
  for (let count = sentences.length; count > 0; count--) {
    const found = phrase(sentences.slice(0, count).join(" "));
    if (found !== null) return [found, ...sentenceBySentence(sentences.slice(count))];
  }
  return sentences.length ? [sentences[0], ...sentenceBySentence(sentences.slice(1))] : [];
};

const originals = new WeakMap(); // by node: what the server said, and what stands there instead

const put = (node, name, shown, write) => {
  const memory = originals.get(node) ?? originals.set(node, {}).get(node);
  const english = memory[name]?.said === shown ? memory[name].english : shown;
  const text = english.trim();
  const said = text && whole.size ? english.replace(text, () => say(text)) : english;
  memory[name] = { english, said };
  if (said !== shown) write(said);
};

const sayText = (node) => {
  if (node.parentElement?.closest("script, style, textarea, [translate=no]")) return;
  put(node, "", node.data, (said) => (node.data = said));
};
const sayAttributes = (node) => {
  for (const name of ATTRIBUTES) {
    if (node.hasAttribute(name)) put(node, name, node.getAttribute(name), (said) => node.setAttribute(name, said));
  }
};
const sayAll = (root) => {
  if (root.nodeType === Node.TEXT_NODE) sayText(root);
  if (root.nodeType !== Node.ELEMENT_NODE) return;
  sayAttributes(root);
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (walker.currentNode.nodeType === Node.TEXT_NODE) sayText(walker.currentNode);
    else sayAttributes(walker.currentNode);
  }
};

// A browser may forbid storage, as some do inside the frame of a Space: then the choice ends with the page.
const kept = () => {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
};
const keep = (language) => {
  try {
    localStorage.setItem(KEY, language);
  } catch {}
};

const speak = (language) => {
  learn(Object.assign({}, ...Object.values(phrases[language] ?? {})));
  document.documentElement.lang = TAGS[language] ?? language;
  for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.language === language);
  sayAll(document.body);
};

element.addEventListener("click", (event) => {
  const language = event.target.closest("[data-language]")?.dataset.language;
  if (!language) return;
  keep(language);
  speak(language);
});

const wanted = [kept(), ...navigator.languages.map((tag) => tag.split("-")[0])];
speak(wanted.find((language) => languages.includes(language)) ?? "en");
new MutationObserver((changes) => {
  for (const change of changes) {
    if (change.type === "childList") change.addedNodes.forEach(sayAll);
    else if (change.type === "characterData") sayText(change.target);
    else sayAttributes(change.target);
  }
}).observe(document.body, {
  subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES,
});
