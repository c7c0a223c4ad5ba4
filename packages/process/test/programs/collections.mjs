// Makes garbage, and says how much CPU time the main thread, and all others, have taken meanwhile, in milliseconds. argv[2]: which garbage.
import { freeArrayBuffersOnOwnThread, scavengeAloneOnOneCpu, scheduled } from "@shardcast/process";

const garbage = {
	/** As uWebSockets.js does for messages. */
	arrayBuffers() {
		freeArrayBuffersOnOwnThread();
		const kept = [];
		return () => {
			for (let made = 0; made < 1_500_000; made++) kept[made % 16] = new Uint8Array(new ArrayBuffer(16));
		};
	},
	/** Some of these survive a collection or two. */
	objects() {
		scavengeAloneOnOneCpu();
		const kept = [];
		return () => {
			for (let made = 0; made < 3_000_000; made++) kept[made % 20_000] = { made, list: [made] };
		};
	},
};
const make = garbage[process.argv[2]]();
const ranMs = () => {
	const threads = [...scheduled(process.pid)];
	const sum = (isOwn) => threads.reduce((ms, [id, { ranMs }]) => ms + ((id === String(process.pid)) === isOwn ? ranMs : 0), 0);
	return { own: sum(true), others: sum(false) };
};
const before = ranMs();
make();
const after = ranMs();
console.log(JSON.stringify({ own: after.own - before.own, others: after.others - before.others }));
