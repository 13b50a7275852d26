using Routing.Agent;
using Routing.Agent.Fence;

// The fence comes first and alone: nothing of the agent may be touched in its process, so that it stays small.
if (args is [FenceProgram.Option, ..])
{
    return FenceProgram.Run(args);
}

return await Arguments.RunAsync(args);
