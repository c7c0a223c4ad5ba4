import { descendantsOf, identify, isAlive, isReaped } from "@shardcast/testkit";
import type { FaultKind } from "../fault.ts";
import type { Rig } from "../rig.ts";

const reapedWithinMs = 10_000;
const leaveWithinMs = 15_000;

async function kill(rig: Rig, name: string): Promise<void> {
	const pid = (await rig.pids()).get(name);
	if (pid === undefined) throw new Error(`the cluster has no ${name}`);
	const identity = identify(pid);
	process.kill(pid, "SIGKILL");
	if (!(await rig.until(() => isReaped(identity), reapedWithinMs)))
		rig.tally.add("leaked", `${name} (${pid}) was killed and is not reaped`);
}

export const killShard: FaultKind = {
	name: "kill-shard",
	help: "kill -9 of a shard",
	isShort: true,
	draw(random) {
		const target = random.below(2);
		return { target, forMs: 0, seed: 0, story: `shard ${target}` };
	},
	lacks: () => null,
	inject: (rig, { target }) => kill(rig, `shard ${target}`),
};

export const killBalancer: FaultKind = {
	name: "kill-balancer",
	help: "kill -9 of the balancer",
	isShort: true,
	draw: () => ({ target: 0, forMs: 0, seed: 0, story: "" }),
	lacks: () => null,
	inject: (rig) => kill(rig, "balancer"),
};

export const killSupervisor: FaultKind = {
	name: "kill-supervisor",
	help: "kill -9 of the supervisor: every process leaves, and a service manager starts the cluster again on its ports",
	isShort: false,
	forgets: true,
	draw: () => ({ target: 0, forMs: 0, seed: 0, story: "" }),
	lacks: () => null,
	async inject(rig) {
		const { process: supervisor } = rig.subject.cluster;
		const children = descendantsOf(supervisor.pid);
		process.kill(supervisor.pid, "SIGKILL");
		await supervisor.exited;
		if (!(await rig.until(() => !children.some(isAlive), leaveWithinMs))) {
			const left = children.filter(isAlive).map(({ pid }) => pid);
			rig.tally.add("leaked", `processes ${left.join(", ")} go on ${leaveWithinMs / 1000} s after their supervisor`, left.length);
			for (const pid of left) process.kill(pid, "SIGKILL");
		}
		await rig.subject.startAgain();
	},
};
