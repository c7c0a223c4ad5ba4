import { identify, isAlive } from "@shardcast/testkit";
import type { Draw, FaultKind } from "../fault.ts";
import type { Random } from "../random.ts";
import type { Rig } from "../rig.ts";

const pausesMs = [1_000, 5_000, 40_000];

function draw(random: Random, isShort: boolean): Draw {
	const target = random.below(2);
	const forMs = random.pick(pausesMs);
	return isShort ? told(target, pausesMs[0]!) : told(target, forMs);
}

function told(target: number, forMs: number): Draw {
	return { target, forMs, seed: 0, story: `${forMs / 1000} s` };
}

async function pause(rig: Rig, name: string, forMs: number): Promise<void> {
	const pid = (await rig.pids()).get(name);
	if (pid === undefined) throw new Error(`the cluster has no ${name}`);
	const identity = identify(pid);
	process.kill(pid, "SIGSTOP");
	try {
		await rig.wait(forMs);
	} finally {
		// One that was killed as hung is gone, and its pid may be another's.
		if (isAlive(identity)) process.kill(pid, "SIGCONT");
	}
}

export const pauseShard: FaultKind = {
	name: "pause-shard",
	help: "SIGSTOP of a shard for 1, 5 or 40 s, then SIGCONT",
	isShort: true,
	draw: (random, isShort) => {
		const drawn = draw(random, isShort);
		return { ...drawn, story: `shard ${drawn.target}, ${drawn.story}` };
	},
	lacks: () => null,
	inject: (rig, { target, forMs }) => pause(rig, `shard ${target}`, forMs),
};

export const pauseBalancer: FaultKind = {
	name: "pause-balancer",
	help: "SIGSTOP of the balancer for 1, 5 or 40 s, then SIGCONT",
	isShort: true,
	draw,
	lacks: () => null,
	inject: (rig, { forMs }) => pause(rig, "balancer", forMs),
};

export const pauseSupervisor: FaultKind = {
	name: "pause-supervisor",
	help: "SIGSTOP of the supervisor for 1, 5 or 40 s, then SIGCONT",
	isShort: false,
	draw,
	lacks: () => null,
	inject: (rig, { forMs }) => pause(rig, "supervisor", forMs),
};
