// Makes garbage, and says how much CPU time the main thread, and all others, have taken meanwhile, in milliseconds.
// argv[2]: which garbage. argv[3]: "plain" = as Node does by itself.
import { keepCollectionsOnOwnThread, scheduled } from "@shardcast/process";

const kept = [];
const garbage = {
	/** As uWebSockets.js does for messages. */
	arrayBuffers() {
		for (let made = 0; made < 1_500_000; made++) kept[made % 16] = new Uint8Array(new ArrayBuffer(16));
	},
	/** Some of these survive a collection or two. */
	objects() {
		for (let made = 0; made < 6_000_000; made++) kept[made % 20_000] = { made, list: [made] };
	},
};
if (process.argv[3] !== "plain") keepCollectionsOnOwnThread();
const ranMs = () => {
	const threads = [...scheduled(process.pid)];
	const sum = (isOwn) => threads.reduce((ms, [id, { ranMs }]) => ms + ((id === String(process.pid)) === isOwn ? ranMs : 0), 0);
	return { own: sum(true), others: sum(false) };
};
const before = ranMs();
garbage[process.argv[2]]();
const after = ranMs();
console.log(JSON.stringify({ own: after.own - before.own, others: after.others - before.others }));
