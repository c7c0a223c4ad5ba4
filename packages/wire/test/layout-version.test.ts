import { describe, expect, it } from "vitest";
import { packVersion, versionProblem } from "../src/layout-version.ts";

describe("versions of layouts", () => {
	it("of one major version get along, whichever minor is newer", () => {
		for (const minor of [0, 1, 65_535]) expect(versionProblem(packVersion({ major: 3, minor }), { major: 3, minor: 1 })).toBeNull();
	});

	it("of different major versions do not, and the message names both", () => {
		for (const major of [0, 2, 4, 32_767])
			expect(versionProblem(packVersion({ major, minor: 12 }), { major: 3, minor: 1 })).toBe(
				`has layout version ${major}.12, and this program uses 3.x`,
			);
	});
});
