'use strict';

// Tdarr: a flow plugin that upscales the working file by the command vidsr. To be copied, as the folder vidsrUpscale,
// into Tdarr/server/Tdarr/Plugins/FlowPlugins/LocalFlowPlugins/video/ of the server; each node needs vidsr.
const { spawn } = require('child_process');
const path = require('path');
const readline = require('readline');

const DONE = 0;
const SOURCE = 3;
const DAMAGED = 7; // exit codes of vidsr

const text = (name, label, defaultValue, tooltip) => (
  {
    name, label, defaultValue, tooltip, type: 'string', inputUI: { type: 'text' },
  });

const details = () => ({
  name: 'Upscale by vidsr',
  description: 'Upscales the video by a neural network on the CPU; audio, subtitles and times stay as they are',
  style: { borderColor: 'green' },
  tags: 'video',
  isStartPlugin: false,
  pType: '',
  requiresVersion: '2.11.01',
  sidebarPosition: -1,
  icon: 'faExpand',
  inputs: [
    text('command', 'Command', 'vidsr', 'The command on the node, or its path'),
    text('options', 'Options', '--to 1080p', 'Options of vidsr upscale, such as --to 1080p --codec libx265'),
  ],
  outputs: [
    { number: 1, tooltip: 'Upscaled' },
    { number: 2, tooltip: 'Upscaled, but frames of the source are damaged or missing (exit code 7)' },
    { number: 3, tooltip: 'Not a video that can be read (exit code 3): the file goes on as it is' },
  ],
});

const time = (seconds) => new Date(1000 * (seconds || 0)).toISOString().slice(11, 19);

const plugin = async (args) => {
  const inputs = Object.fromEntries(details().inputs.map((each) => [each.name, each.defaultValue]));
  Object.assign(inputs, args.inputs);
  const source = args.inputFileObj._id;
  const target = path.join(args.workDir, `${path.parse(source).name}-${Date.now()}.mkv`);
  const words = ['upscale', '--quiet', '--progress', 'json', ...args.deps.parseArgsStringToArgv(inputs.options, '', '')];
  args.jobLog(`${[inputs.command, ...words, source, target].join(' ')}`);
  const child = spawn(inputs.command, [...words, source, target], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve, reject) => { child.on('error', reject).on('close', resolve); });
  let sentence = '';
  readline.createInterface({ input: child.stderr }).on('line', (line) => {
    if (!line.startsWith('{')) {
      sentence = line;
      args.jobLog(line);
      return;
    }
    const { frames, total, fps, seconds_left: left } = JSON.parse(line);
    args.updateWorker({ percentage: total ? (100 * frames) / total : 0, fps, ETA: time(left) });
  });
  const code = await ended;
  if (![DONE, SOURCE, DAMAGED].includes(code)) throw new Error(`vidsr ended with ${code}: ${sentence}`);
  return {
    outputFileObj: code === SOURCE ? args.inputFileObj : { _id: target },
    outputNumber: { [DONE]: 1, [DAMAGED]: 2, [SOURCE]: 3 }[code],
    variables: args.variables,
  };
};

module.exports = { details, plugin };
