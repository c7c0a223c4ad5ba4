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
		const files = [usesTls(cluster.config()), cluster.config().kafkaRoute !== ""].filter((isUsed) => isUsed).length;
		const isWrong = options.result === "rejected";
		// Certificates and module are read again even if the config file is wrong or absent.
		if ((isWrong || options.result === "no_file") && kept.length >= files) throw new Refused([options.text, ...kept].join("; "));
		const problems = [...(isWrong ? [options.text] : []), ...kept];
		if (problems.length > 0) partly(problems.join("; "));
		return { options: options.result, text: options.text, certificates: certificates ?? "in use", route: route ?? "in use" };
	},
	describe: ({ text }) => [text],
});
