"""The packer: the same bytes from the same sources, one scope, short names that stay apart, and plain refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from consent_gateway.edge.packer import PackError, minify_css, pack

HINT = "//# allFunctionsCalledOnLoad\n"


def packed(folder: Path, **modules: str) -> str:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text)
    return pack(folder / "entry.js").decode().removeprefix(HINT)


def body(folder: Path, text: str) -> str:
    return packed(folder, entry=text).removeprefix('(()=>{"use strict";').removesuffix("})();\n")


def test_a_module_stands_once_and_behind_what_it_imports(tmp_path: Path) -> None:
    text = packed(
        tmp_path,
        entry='import "./one.js";\nimport "./two.js";\nlast(1);',
        one='import { shared } from "./shared.js";\none(shared);',
        two='import { shared } from "./shared.js";\ntwo(shared);',
        shared="export const shared = 7;",
    )
    assert text == '(()=>{"use strict";let a=7;one(a);two(a);last(1);})();\n'
    assert HINT + text == pack(tmp_path / "entry.js").decode()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("// a word\nf(); /* another */ g();", "f();g();"),
        (
            "f('// no comment', \"/* nor this */\", `nor // this`);",
            "f('// no comment',\"/* nor this */\",`nor // this`);",
        ),
        ("const name = 1;\nname.name = { name: name };", "let a=1;a.name={name:a};"),
        ("const kept = 1;\nf({ kept });", "let kept=1;f({kept});"),
        ("const long = f;\nlong(`${long} ${window.long}`);", "let a=f;a(`${a} ${window.long}`);"),
        ("const first = (second, ...third) => second ? third : first;", "let c=(a,...b)=>a?b:c;"),
        ("let one = 1, two = 2;\nf(one, two, a);", "let b=1,c=2;f(b,c,a);"),
        ("function f(x) {\n  return x;\n}\nf(2)", "function b(a){return a}\nb(2)"),
        ("const o = { open() { return 1; } };\nopen();", "let a={open(){return 1}};open();"),
        ("try { f(); } catch (error) { g(error); }", "try{f()}catch(a){g(a)}"),
        ('x = a + +b - -c;\ny = /[/"]+/g.test(z);', 'x=a+ +b- -c;y=/[/"]+/g.test(z);'),
        ("for (const item of items) f(item);", "for(let a of items)f(a);"),
        ("const [head, tail] = list;\nf(head, tail);", "let[a,b]=list;f(a,b);"),
        ("const { left = 1, right } = o;\nf(left, right);", "let{left=1,right}=o;f(left,right);"),
        ("let state;\nf(() => { state = 1; });", "let a;f(()=>{a=1});"),
        ("const { x, y } = o;\nf(x + x, x, y);", "let{x:a,y}=o;f(a+a,a,y);"),
        ("const f = (x) => x;\nconst g = (y, z) => f(`${y}`, z);", "let c=(a)=>a;let d=(a,b)=>c(`${a}`,b);"),
        ("f.catch((why) => { if (why) return g(why); });", "f.catch((a)=>{if(a)return g(a)});"),
        ("f((top) => top + 1);\nf(top);", "f((a)=>a+1);f(top);"),
        ("f({ a: 1, }, [2,\n],);", "f({a:1},[2,]);"),
        ('x = true;\nf(() => { return false; }, "true");', 'x=!0;f(()=>{return!1},"true");'),
    ],
)
def test_what_goes_and_what_stays(tmp_path: Path, source: str, expected: str) -> None:
    assert body(tmp_path, source) == expected


def test_a_short_name_is_never_one_that_is_used_otherwise(tmp_path: Path) -> None:
    assert body(tmp_path, "const mine = a + b;\nf(mine, `${c}`);") == "let d=a+b;f(d,`${c}`);"


def test_a_style_sheet_becomes_one_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "look.css").write_text("/* words */\na :hover {\n  color: red;\n  width: calc(1px + 2px);\n}\n")
    text = body(tmp_path, 'import look from "./look.css" with { type: "css" };\nuse(look);')
    assert text == "let a=new CSSStyleSheet();a.replaceSync(`a :hover{color:red;width:calc(1px + 2px)}`);use(a);"
    text = body(tmp_path, 'import look from "./look.css" with { type: "text" };\nuse(look);')
    assert text == "let a=`a :hover{color:red;width:calc(1px + 2px)}`;use(a);"
    assert minify_css("@media (width < 40rem) { a, b > c { margin: 0 -1px } }") == (
        "@media (width < 40rem){a,b > c{margin:0 -1px}}"
    )


@pytest.mark.parametrize(
    ("modules", "why"),
    [
        ({"entry": 'import "./gone.js";'}, "No such file"),
        ({"entry": 'import "./other.js";', "other": 'import "./entry.js";'}, "imports itself by way of"),
        ({"entry": 'import "./other.js";\nconst x = 1;', "other": "const x = 2;"}, "x is also declared in other.js"),
        ({"entry": "export default 1;"}, "this form is not packed"),
        ({"entry": 'import * as x from "./y.js";'}, "this form is not packed"),
        ({"entry": "f(`${`x`}`);"}, "a template in a template"),
        ({"entry": "f({;"}, "not closed"),
        ({"entry": "f(]);"}, "not closed"),
    ],
)
def test_what_breaks_a_convention_is_refused(tmp_path: Path, modules: dict[str, str], why: str) -> None:
    with pytest.raises(PackError, match=why):
        packed(tmp_path, **modules)
