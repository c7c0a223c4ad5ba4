import { expect, it } from "vitest";
import { dialProblem } from "../../src/backends/dial-problem.ts";

it.each([
	["ENOTFOUND", "the name cannot be resolved: ENOTFOUND"],
	["EAI_AGAIN", "the name cannot be resolved: EAI_AGAIN"],
	["ECONNREFUSED", "ECONNREFUSED; does it run, and listen at this address?"],
])("a backend that cannot be dialled: %s", (code, text) => {
	expect(dialProblem(Object.assign(new Error("it failed"), { code }))).toBe(text);
});
