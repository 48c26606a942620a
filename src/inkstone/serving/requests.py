"""What a client may send to the endpoints that write, as OpenAI's API has it, checked against types and bounds.

A parameter that is not known is refused, not passed over: nobody is to believe that it did something.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(max_length=1 << 22)]
TokenId = Annotated[int, Field(ge=0, lt=1 << 31, strict=True)]
Stop = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Part(BaseModel):
    """The base of all that is sent."""

    model_config = ConfigDict(extra="forbid")


class StreamOptions(Part):
    """How an answer is streamed."""

    include_usage: bool = False
    include_obfuscation: Literal[False] | None = None


class Writes(Part):
    """The parameters that completions and chat share. What is left out is as `inkstone generate` has it."""

    model: str | None = Field(None, max_length=256, description="the name of a model; may be left out if there is one")
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    top_k: Annotated[int, Field(ge=0, lt=1 << 31)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = Field(None, description="none: another each time")
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]] | None = Field(
        None, max_length=1024, description="token id: what is added to its log-probability"
    )
    user: str | None = Field(None, max_length=512, description="takes part in nothing")
    metadata: dict[str, str] | None = Field(None, max_length=16, description="takes part in nothing")
    store: Literal[False] | None = Field(None, description="nothing is stored")
    service_tier: Literal["auto", "default"] | None = None


class CompletionRequest(Writes):
    """A text to go on with."""

    prompt: (
        Text
        | Annotated[list[TokenId], Field(min_length=1)]
        | Annotated[list[Text], Field(min_length=1, max_length=128)]
        | Annotated[list[Annotated[list[TokenId], Field(min_length=1)]], Field(min_length=1, max_length=128)]
    ) = ""
    max_tokens: Annotated[int, Field(ge=0, lt=1 << 31)] | None = Field(None, description="default: 16")
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(None, description="likeliest tokens to tell")
    echo: bool | None = Field(None, description="the prompt stands before the answer")
    best_of: Annotated[int, Field(ge=1)] | None = Field(None, description="only the value of n")
    suffix: Literal[""] | None = Field(None, description="no model here fills in the middle")


class JsonSchema(Part):
    """A schema by name."""

    name: str = Field("", max_length=64)
    description: str | None = None
    strict: bool | None = Field(None, description="an answer keeps to the schema in any case")
    schema_: dict[str, Any] | None = Field(None, alias="schema")


class ResponseFormat(Part):
    """The form that an answer keeps to."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class FunctionCall(Part):
    """What the assistant called."""

    name: str = Field(max_length=256)
    arguments: str


class ToolCall(Part):
    """A call of a tool in an earlier answer."""

    id: str | None = None
    type: Literal["function"] = "function"
    function: FunctionCall
    index: int | None = None


class ContentPart(Part):
    """A part of a message."""

    type: Literal["text"]
    text: Text


class ChatMessage(Part):
    """What was said."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | list[ContentPart] | None = None
    name: str | None = Field(None, max_length=256)
    tool_calls: list[ToolCall] | None = Field(None, max_length=128)
    tool_call_id: str | None = Field(None, max_length=256)
    refusal: str | None = None
    reasoning_content: str | None = None

    @property
    def words(self) -> list[str]:
        """The texts of its content."""
        if isinstance(self.content, list):
            return [part.text for part in self.content]
        return [self.content or ""]


class FunctionTool(Part):
    """A function that may be called."""

    name: str = Field(pattern=r"^[\w.\-]{1,64}$")
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = Field(
        None, description="arguments keep to the schema; where tool_choice forces a call they do in any case"
    )


class Tool(Part):
    """A tool; all are functions."""

    type: Literal["function"]
    function: FunctionTool


class NamedFunction(Part):
    """The name of a function."""

    name: str


class NamedTool(Part):
    """The one tool to call."""

    type: Literal["function"]
    function: NamedFunction


class ChatRequest(Writes):
    """A conversation that the assistant is to go on with."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=4096)
    max_tokens: Annotated[int, Field(ge=1, lt=1 << 31)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, lt=1 << 31)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = Field(None, max_length=128)
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = Field(
        None, max_length=16, description="settings of the template, such as enable_thinking"
    )
