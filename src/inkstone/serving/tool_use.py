"""The tools of one request: what the template is told, whether a call is forced, and which calls stand in an answer."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from inkstone.inference.constrained import Constraint
from inkstone.inference.requests import Heard
from inkstone.inference.schema_check import ConstraintError
from inkstone.inference.stop_strings import StopStrings
from inkstone.serving.api_errors import ApiError
from inkstone.serving.requests import ChatRequest, NamedTool
from inkstone.serving.tool_calls import Call, ToolForm
from inkstone.serving.tool_grammar import calling
from inkstone.serving.written import Written
from inkstone.tokens.chat_template import ChatTemplate


@dataclass(frozen=True)
class ToolUse:
    """`functions` may be called; where a call is `forced`, the answer is one call of one of them, in valid JSON.

    Where the model decides and one of them is `strict`, what it begins as a call is one of these, with arguments that keep to the
    parameters of those that are strict; of the others they are some object.
    """

    definitions: list[dict[str, Any]]  # as the template is told
    functions: list[dict[str, Any]]
    forced: bool
    several: bool  # calls in one answer
    form: ToolForm
    template: ChatTemplate

    @classmethod
    def of(cls, asked: ChatRequest, template: ChatTemplate) -> "ToolUse | None":
        """What a request says of tools; None where there are none. Raises ApiError for what cannot be."""
        choice = asked.tool_choice
        if not asked.tools:
            if choice not in (None, "none"):
                raise ApiError(400, "tool_choice: there are no tools", param="tool_choice")
            return None
        if choice == "none":
            return None
        if asked.response_format is not None and asked.response_format.type != "text":
            raise ApiError(
                400, "response_format: an answer has this form or calls tools, not both", param="response_format"
            )
        definitions = [tool.model_dump(exclude_none=True) for tool in asked.tools]
        functions = [each["function"] for each in definitions]
        if isinstance(choice, NamedTool):
            functions = [each for each in functions if each["name"] == choice.function.name]
            if not functions:
                raise ApiError(
                    400, f"tool_choice: no tool is called {choice.function.name[:100]!r}", param="tool_choice"
                )
        forced = choice == "required" or isinstance(choice, NamedTool)
        return cls(
            definitions, functions, forced, asked.parallel_tool_calls is not False, ToolForm.of(template), template
        )

    @cached_property
    def opening_ids(self) -> list[int]:
        """The tokens that open a call; a forced answer begins after them."""
        return self.template.own_ids(self.form.opening) if self.forced and self.form.opening else []

    @cached_property
    def special(self) -> frozenset[int]:
        """Special tokens of the opening, which do not appear in the text of an answer."""
        return frozenset(self.template.own_ids(self.form.opening or " ")) & self.template.tokenizer.special_ids

    def constraint(self) -> Constraint | None:
        """The form of the answer, if any. Raises ApiError for parameters that are no schema that can be kept to."""
        try:
            if self.forced:
                return Constraint.json_schema(self.form.schema(self.functions))
            if any(each.get("strict") for each in self.functions):
                known = [each if each.get("strict") else {"name": each["name"]} for each in self.functions]
                return calling(self.form, self.template, known)
            return None
        except ConstraintError as error:
            raise ApiError(400, f"tools: {error}", param="tools") from None

    def read(self, written: Written) -> tuple[str | None, list[Call]]:
        """What is said in a whole answer, and the calls in it."""
        text = self.form.opening + written.text if self.forced else written.text
        if self.special and not self.forced:
            text = self.template.tokenizer.decode(written.ids, special=True)
        calls = self.form.calls(text, [each["name"] for each in self.functions])
        if not calls:
            return written.text, []
        said = text[: self.form.begin(text) or 0].strip()
        return said or None, calls if self.several else calls[:1]


@dataclass
class Gate:
    """Lets through what is said in an answer that is streamed, and holds back what may be a call until the answer is whole."""

    use: ToolUse | None
    given: int = 0  # characters
    text: str = ""
    held: bool = False
    stops: StopStrings = field(init=False)

    def __post_init__(self) -> None:
        self.held = self.use is not None and self.use.forced
        self.stops = StopStrings((self.use.form.mark,) if self.use is not None and self.use.form.mark else ())

    def push(self, heard: Heard) -> str:
        """What can be given out now."""
        self.text += heard.text
        if self.use is None:
            return heard.text
        bare = not self.use.form.mark and self.text.lstrip()[:1] in ("", "{")
        if self.held or bare or self.use.special & set(heard.ids):
            self.held = self.held or bool(self.use.special & set(heard.ids))
            return ""
        new = self.stops.push(heard.text) if self.use.form.mark else self.text[self.given :]
        self.given += len(new)
        return new

    def finish(self, written: Written) -> tuple[str, list[Call]]:
        """What was held back of the words, and the calls."""
        if self.use is None:
            return "", []
        _, calls = self.use.read(written)
        return ("", calls) if calls else (self.text[self.given :], [])
