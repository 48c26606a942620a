"""Chat templates in the manner of well-known models, and folders with tokenizers that have their control tokens."""

import json
from functools import cache
from pathlib import Path

import tokenizers
from tokenizers import AddedToken

from inkstone.tokens.learning import learn_tokenizer

TEXT = [
    'The user asks the assistant; the system says: be brief. <think> thought </think> {"name": 1}\n\n',
    "话说天下大势，分久必合，合久必分。砚台是什么？墨。\n",
]

# As Qwen3's: thoughts are kept in the last answer only, and asked away with enable_thinking; tools stand in the system's turn.
THOUGHTS = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- 'Functions at hand:' }}
    {%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set seen = namespace(question=-1) %}
{%- for message in messages[::-1] %}
    {%- if message.role == 'user' and not (message.content.startswith('<tool_response>')) %}
        {%- set seen.question = messages | length - loop.index %}
        {%- break %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == 'user' %}
        {{- '<|im_start|>user\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {%- set thought, answer = '', message.content %}
        {%- if '</think>' in answer %}
            {%- set thought = answer.split('</think>')[0].split('<think>')[-1].strip('\\n') %}
            {%- set answer = answer.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if loop.index0 > seen.question %}{{- '<think>\\n' + thought + '\\n</think>\\n\\n' }}{%- endif %}
        {{- answer }}
        {%- for call in message.tool_calls or [] %}
            {{- '\\n<tool_call>\\n' + call.function | tojson + '\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""

# As Llama 3's: headers, a date, contents without the blanks around them.
HEADERS = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%d %b %Y") if strftime_now is defined else "1 Jan 2025" %}
{%- endif %}
{% macro header(role) %}<|start_header_id|>{{ role }}<|end_header_id|>

{% endmacro %}
{%- if messages[0]['role'] == 'system' %}
    {%- set said, messages = messages[0]['content'] | trim, messages[1:] %}
{%- else %}
    {%- set said = '' %}
{%- endif %}
{{- header('system') }}
{{- "Today: " + date_string + "\\n\\n" + said + "<|eot_id|>" }}
{%- for message in messages %}
    {{- header(message.role) + message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{% if add_generation_prompt %}
    {{- header('assistant') }}
{%- endif %}
"""

# As Mistral's: no prompt of its own for an answer, and a strict order.
BRACKETS = """{{ bos_token }}{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{% endif %}
{% if message['role'] == 'user' %}
{{ '[INST] ' + message['content'] + ' [/INST]' }}
{% elif message['role'] == 'assistant' %}
{{ ' ' + message['content'] + eos_token }}
{% endif %}
{% endfor %}"""

# As those made for training: the template marks what the assistant writes.
MARKED = """{% for message in messages %}
<|im_start|>{{ message.role }}
{% if message.role == 'assistant' %}
{% generation %}{{ message.content }}<|im_end|>{% endgeneration %}{{ '\\n' }}
{% else %}
{{ message.content }}<|im_end|>
{% endif %}
{% endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}"""

TEMPLATES = {"thoughts": THOUGHTS, "headers": HEADERS, "brackets": BRACKETS, "marked": MARKED}
SPECIAL = {
    "thoughts": ["<|im_start|>", "<|im_end|>"],
    "headers": ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "brackets": ["<s>", "</s>", "[INST]", "[/INST]"],
    "marked": ["<|im_start|>", "<|im_end|>"],
}
NAMES = {
    "thoughts": {"eos_token": "<|im_end|>", "bos_token": None, "pad_token": "<|endoftext|>"},
    "headers": {"eos_token": "<|eot_id|>", "bos_token": {"content": "<|begin_of_text|>", "__type": "AddedToken"}},
    "brackets": {"eos_token": "</s>", "bos_token": "<s>"},
    "marked": {"eos_token": "<|endoftext|>"},
}


@cache
def words() -> str:
    """A byte-level tokenizer without our turn tokens, as JSON."""
    described = json.loads(learn_tokenizer(TEXT * 20, "byte-bpe", 420).backend.to_str())
    described["added_tokens"] = described["added_tokens"][:1]
    described["post_processor"] = None
    return json.dumps(described)


def write_folder(folder: Path, name: str, *, in_settings: bool = False) -> Path:
    """The tokenizer files of a foreign checkpoint; thoughts and calls are added tokens that are not special."""
    folder.mkdir(exist_ok=True)
    backend = tokenizers.Tokenizer.from_str(words())
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL[name]])
    backend.add_tokens(["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"])
    backend.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **NAMES[name]}
    if in_settings:
        settings["chat_template"] = TEMPLATES[name]
    else:
        (folder / "chat_template.jinja").write_text(TEMPLATES[name], encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def llama_like() -> tokenizers.Tokenizer:
    """Pieces with U+2581 for blanks, one before the text, bytes as a way out, and control tokens that eat blanks behind them."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    for token in ("▁", "i", "n", "k", "in", "ink", "▁ink"):
        vocab[token] = len(vocab)
    merges = [("i", "n"), ("in", "k"), ("▁", "ink")]
    backend = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocab=vocab, merges=merges, byte_fallback=True, unk_token="<unk>")
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    backend.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            tokenizers.decoders.Strip(" ", 1, 0),
        ]
    )
    backend.add_special_tokens([AddedToken(token, normalized=False) for token in ("<unk>", "<s>", "</s>")])
    backend.add_special_tokens(
        [AddedToken(token, normalized=False, rstrip=True) for token in ("<|im_start|>", "<|im_end|>")]
    )
    return backend
