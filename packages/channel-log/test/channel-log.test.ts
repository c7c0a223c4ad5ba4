import { brokerContract } from "./broker-contract.ts";
import { pauseChange, pausePublishing, Rig } from "./fixtures.ts";

brokerContract("ChannelLog in one process", () => {
	const rig = new Rig();
	let channels = 0;
	return {
		broker: (member) => rig.member(member),
		pass: (ms) => {
			rig.clock.nowMs += ms;
		},
		channel: () => `channel-${channels++}`,
		pausePublishing: () => pausePublishing(rig.memories),
		pauseChange: () => pauseChange(rig.memories),
	};
});
