import type { FaultKind } from "../fault.ts";

const jumpsMs = [-3_600_000, -10_000, 10_000, 3_600_000, 86_400_000];

export const jumpClock: FaultKind = {
	name: "jump-clock",
	help: "the wall clock that the cluster's code sees jumps by -1 h, ±10 s, +1 h or +1 day, and back after 0.5 or 2 s",
	isShort: true,
	draw(random, isShort) {
		const target = random.below(jumpsMs.length);
		return { target, forMs: isShort ? 500 : 2_000, seed: 0, story: `${jumpsMs[target]! / 1000} s` };
	},
	lacks: (rig) => (rig.subject.movesClock ? null : "the cluster was started without a clock that can be moved"),
	async inject(rig, { target, forMs }) {
		rig.subject.moveClock(jumpsMs[target]!);
		try {
			await rig.wait(forMs);
		} finally {
			rig.subject.moveClock(0);
			// Each process reads it within a tenth of a second.
			await rig.wait(200);
		}
	},
};
