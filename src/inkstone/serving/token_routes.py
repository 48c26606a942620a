"""/tokenize and /detokenize: text as the tokens of a model, and back."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from inkstone.inference.prefill import prompt_ids
from inkstone.serving.answer_responses import JsonAnswer, documented
from inkstone.serving.api_errors import ApiError
from inkstone.serving.asking import known_tokens
from inkstone.serving.conversing import as_template_has_it, template_of
from inkstone.serving.house import House, Served, ServedLanguage
from inkstone.serving.requests import ChatMessage, Part, Text, TokenId
from inkstone.serving.written import token_name
from inkstone.tokens.tokenizer import whole_characters

MOST_TOKENS = 1 << 20

router = APIRouter(tags=["tokens"])


class TokenizeRequest(Part):
    """A text, or a conversation, which the chat template writes down."""

    model: str | None = Field(None, max_length=256)
    prompt: Text | None = None
    messages: list[ChatMessage] | None = Field(None, min_length=1, max_length=4096)
    add_generation_prompt: bool = True
    add_special_tokens: bool = Field(True, description="with the tokens that stand before a prompt")
    return_token_strs: bool = False


class DetokenizeRequest(Part):
    """Tokens."""

    model: str | None = Field(None, max_length=256)
    tokens: list[TokenId] = Field(max_length=MOST_TOKENS)


@router.post("/tokenize", responses=documented())
async def tokenize(asked: TokenizeRequest, request: Request) -> JsonAnswer:
    """The tokens of a text."""
    house: House = request.app.state.house
    model = house.find(asked.model)
    if (asked.prompt is None) == (asked.messages is None):
        raise ApiError(400, "give either prompt or messages", param="prompt")
    ids = await asyncio.to_thread(_ids, asked, model, house)
    told: dict[str, Any] = {"count": len(ids), "tokens": ids}
    if isinstance(model, ServedLanguage):
        told["max_model_len"] = model.capacity
    if asked.return_token_strs:
        told["token_strs"] = [token_name(number, model.tokenizer)[0] for number in ids]
    return JsonAnswer(told)


@router.post("/detokenize", responses=documented())
async def detokenize(asked: DetokenizeRequest, request: Request) -> JsonAnswer:
    """The text of tokens."""
    tokenizer = request.app.state.house.find(asked.model).tokenizer
    return JsonAnswer({"prompt": tokenizer.decode(known_tokens(asked.tokens, tokenizer, "tokens"), special=True)})


def _ids(asked: TokenizeRequest, model: Served, house: House) -> list[int]:
    if asked.messages is not None:
        template = template_of(house.language(model.name))
        messages = [as_template_has_it(message) for message in asked.messages]
        return template.ids(messages, add_generation_prompt=asked.add_generation_prompt)
    text = whole_characters(asked.prompt or "")[0]
    if asked.add_special_tokens and isinstance(model, ServedLanguage):
        return prompt_ids(model.model, text)
    return model.tokenizer.encode(text)
