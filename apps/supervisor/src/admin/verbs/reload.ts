import { usesTls } from "@shardcast/config";
import { defineVerb, Refused } from "../verb.ts";

/** What SIGHUP does, with its result. */
export const reload = defineVerb({
	name: "reload",
	summary: "Read the config file, the certificates and the route module again, and apply what can change while the cluster runs.",
	arguments: {},
	changes: true,
	workers: ["shard", "gateway"],
	example: "reload",
	async run(_args, { cluster, partly }) {
		const { options, certificates, route } = await cluster.reload();
		const kept = [certificates, route].filter((problem) => problem !== null);
		if (options.result === "rejected") throw new Refused([options.text, ...kept].join("; "));
		const hasFiles = usesTls(cluster.config()) || cluster.config().kafkaRoute !== "";
		if (options.result === "no_file" && (kept.length > 0 || !hasFiles)) throw new Refused([options.text, ...kept].join("; "));
		if (kept.length > 0) partly(kept.join("; "));
		return { options: options.result, text: options.text, certificates: certificates ?? "in use", route: route ?? "in use" };
	},
	describe: ({ text }) => [text],
});
