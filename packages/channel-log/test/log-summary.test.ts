import { expect, it } from "vitest";
import { bytes, Rig } from "./fixtures.ts";

it("a glance at a history tells its position and how much is kept, and does not keep it alive", () => {
	const rig = new Rig();
	const log = rig.member();
	const history = { size: 3, ttlMs: 100, metaTtlMs: 200 };
	expect(log.summary("c")).toBeNull();
	for (let index = 0; index < 5; index++) log.publish("c", bytes("x"), { history });
	expect(log.summary("c")).toEqual({ offset: 5, kept: 3 });
	rig.clock.nowMs += 150;
	expect(log.summary("c")).toEqual({ offset: 5, kept: 0 });
	rig.clock.nowMs += 60;
	expect(log.summary("c")).toBeNull();
});
