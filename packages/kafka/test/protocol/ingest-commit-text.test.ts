import { describe, expect, it } from "vitest";
import { commitText, parseCommitText, validCommit } from "../../src/protocol/commit-text.ts";

describe("What is committed beside an offset", () => {
	it("is read as it was written; what others have committed says nothing", () => {
		for (const text of [
			{ topicId: "NrT1-f0mS_qEvdv3sAe52w", run: "shardcast-0-17-ab.c", epoch: 12 },
			{ topicId: null, run: "r", epoch: 0 },
			{ topicId: "x", run: null, epoch: -1 },
		])
			expect(parseCommitText(commitText(text))).toEqual(text);
		for (const foreign of ["", "NO_METADATA", "shardcast topic=", "x shardcast run=r", "shardcast run=r epoch=-3"])
			expect(parseCommitText(foreign)).toEqual({ topicId: null, run: null, epoch: -1 });
	});

	const commit = (offset: number, topicId: string | null, run: string | null) => ({ offset, topicId, run, epoch: offset + 1 });
	it("the lowest commit counts; what is of another topic of the name does not", () => {
		expect(validCommit([], "new")).toBeNull();
		expect(validCommit([commit(7, "new", "r"), commit(5, "new", "r")], "new")).toMatchObject({ offset: 5, epoch: 6 });
		expect(validCommit([commit(7, "old", "r"), commit(5, "old", "r")], "new")).toBeNull();
		expect(validCommit([commit(70, "old", "r"), commit(5, "new", "r")], "new")).toMatchObject({ offset: 5, epoch: 6 });
		// Set by hand, or by brokers that do not tell ids.
		expect(validCommit([commit(3, null, null), commit(5, "new", "r")], "new")).toMatchObject({ offset: 3, epoch: 4 });
		expect(validCommit([commit(3, "new", "r")], null)).toMatchObject({ offset: 3 });
	});

	it("what is left of an earlier run with more shards does not throw this one back", () => {
		expect(validCommit([commit(900, "t", "now"), commit(880, "t", "now"), commit(5, "t", "weeks ago")], "t")).toMatchObject({
			offset: 880,
			epoch: 881,
		});
	});
});
