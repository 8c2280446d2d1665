"""Mixtures of values. Here helm renders them; integration-tests/kubernetes has a real API server check the result."""

MATRIX = {
    "defaults": [],
    "closed": ["--set", "kubernetes.onProxyDeath=closed"],
    "no kubernetes": ["--set", "kubernetes.enabled=false,cni.enabled=false"],
    "no cni": ["--set", "cni.enabled=false"],
    "cni elsewhere": ["--set", "cni.binDir=/usr/lib/cni,cni.confDir=/etc/cni/x"],
    "digest": ["--set", "image.digest=sha256:" + "a" * 64],
    "secrets": ["--set", "image.pullSecrets[0].name=one,image.pullPolicy=Always,image.tag=x"],
    "loopback": ["--set", "admin.host=127.0.0.1,admin.port=19990"],
    "ipv6": ["--set-string", "admin.host=::"],
    "monitor": ["--set", "podMonitor.enabled=true,podMonitor.labels.release=prometheus"],
    "placing": ["--set", "nodeSelector.a=b,podLabels.c=d,podAnnotations.e=f,maxUnavailable=10%"],
    "affinity": ["--set-json", 'affinity={"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{'
                 '"nodeSelectorTerms":[{"matchExpressions":[{"key":"x","operator":"Exists"}]}]}}}'],
    "no tolerations": ["--set-json", "tolerations=[]"],
    "own account": ["--set", "serviceAccount.create=false,serviceAccount.name=other,rbac.create=false"],
    "no cleaning": ["--set", "uninstall.clean=false"],
    "limits": ["--set", "config.limits.sessions=1048576,config.limits.window=64KiB,config.workers=2,drainSeconds=0"],
    "shortcut": ["--set", "config.shortcut.mode=auto,config.shortcut.window=1MiB"],
    "services": ["--set-json", 'config.services=[{"name":"x","addresses":["10.0.0.1"],"ports":[80]}]'],
}  # fmt: skip
